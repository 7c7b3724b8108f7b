package live

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ledgerExt ends the names of ledger files.
const ledgerExt = ".ledger"

// entry is one line of a ledger. The first one says which stack it is about; of the others each says
// one thing about a box.
type entry struct {
	URL    string    `json:"url,omitempty"`
	Prefix string    `json:"prefix,omitempty"`
	PID    int       `json:"pid,omitempty"`
	At     time.Time `json:"at,omitzero"`

	Ask     string `json:"ask,omitempty"`     // a box of this name is about to be asked for
	Made    string `json:"made,omitempty"`    // this id came to be, under Name
	Name    string `json:"name,omitempty"`    // of Made
	Refused string `json:"refused,omitempty"` // the box of this name was refused
	Gone    string `json:"gone,omitempty"`    // this id, or this name, is no more
}

// account is what a ledger comes to.
type account struct {
	URL, Prefix string
	Names       map[string]time.Time // every name that was asked for, and when last
	Boxes       map[string]string    // boxes that were made and not removed: id → name
	Open        map[string]time.Time // names whose create has not been heard of again
}

func newAccount() account {
	return account{Names: map[string]time.Time{}, Boxes: map[string]string{}, Open: map[string]time.Time{}}
}

// clear reports whether nothing can be left.
func (a *account) clear() bool { return len(a.Boxes) == 0 && len(a.Open) == 0 }

// owns reports whether a box with this id and name is one of the ledger's.
func (a *account) owns(id, name string) bool {
	_, made := a.Boxes[id]
	_, asked := a.Names[name]
	return made || name != "" && asked
}

func (a *account) take(e entry) {
	switch {
	case e.URL != "":
		a.URL, a.Prefix = e.URL, e.Prefix
	case e.Ask != "":
		a.Names[e.Ask], a.Open[e.Ask] = e.At, e.At
	case e.Made != "":
		a.Boxes[e.Made] = e.Name
		delete(a.Open, e.Name)
	case e.Refused != "":
		delete(a.Open, e.Refused)
	case e.Gone != "":
		delete(a.Boxes, e.Gone)
		delete(a.Open, e.Gone)
	}
}

// readAccount reads a ledger. The last line may be torn: its writer may have been killed.
func readAccount(r io.Reader) (account, error) {
	a := newAccount()
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return a, fmt.Errorf("line %d is no entry of a ledger", n)
		}
		if n == 1 && e.URL == "" {
			return a, errors.New("line 1 does not say which stack the ledger is about")
		}
		a.take(e)
	}
}

// ledger is the book of one run: what it asks for is written down before it is sent. It holds a lock
// on its file as long as its process lives. It is safe for concurrent use; a nil one keeps no books.
type ledger struct {
	mu     sync.Mutex
	dir    string
	head   entry
	file   *os.File
	sum    account
	size   int // bytes in file
	limit  int // at which a new file is begun
	recent time.Duration
}

// openLedger begins a ledger in dir, which is made if missing.
func openLedger(dir, url, prefix string) (*ledger, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := &ledger{dir: dir, head: entry{URL: url, Prefix: prefix, PID: os.Getpid()}, sum: newAccount(), limit: 4 << 20, recent: 10 * time.Minute}
	return l, l.begin()
}

// begin starts a new file with what still matters of the old one, which is removed then.
func (l *ledger) begin() error {
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	l.head.At = time.Now().UTC()
	path := filepath.Join(l.dir, l.head.At.Format("20060102-150405")+"-"+hex.EncodeToString(id[:])+ledgerExt)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(lock(f), l.carry(f)); err != nil {
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	if l.file != nil {
		err = errors.Join(os.Remove(l.file.Name()), l.file.Close())
	}
	l.file = f
	return err
}

// carry writes the head and what is not settled to f.
func (l *ledger) carry(f *os.File) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	_ = enc.Encode(l.head) // into memory
	for name, at := range l.sum.Names {
		_, open := l.sum.Open[name]
		if time.Since(at) > l.recent && !open {
			delete(l.sum.Names, name)
			continue
		}
		_ = enc.Encode(entry{Ask: name, At: at})
		if !open {
			_ = enc.Encode(entry{Refused: name})
		}
	}
	for id, name := range l.sum.Boxes {
		_ = enc.Encode(entry{Made: id, Name: name})
	}
	l.size = text.Len()
	_, err := f.Write(text.Bytes())
	return err
}

func (l *ledger) write(e entry) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	l.sum.take(e)
	n, err := l.file.Write(append(line, '\n'))
	if l.size += n; err == nil && l.size > l.limit {
		err = l.begin()
		l.limit = max(l.limit, 2*l.size)
	}
	return err
}

// ask notes that a box is about to be asked for. One without a name cannot be found again.
func (l *ledger) ask(name string) error {
	if name == "" {
		return nil
	}
	return l.write(entry{Ask: name, At: time.Now().UTC()})
}

func (l *ledger) made(id, name string) error { return l.write(entry{Made: id, Name: name}) }

func (l *ledger) refused(name string) error {
	if name == "" {
		return nil
	}
	return l.write(entry{Refused: name})
}

func (l *ledger) gone(box string) error { return l.write(entry{Gone: box}) }

// left is how many boxes may be there.
func (l *ledger) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sum.Boxes) + len(l.sum.Open)
}

// close ends the ledger, and removes it when nothing can be left. kept is its path, "" = removed.
func (l *ledger) close() (kept string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept = l.file.Name()
	if l.sum.clear() && os.Remove(kept) == nil {
		kept = ""
	}
	_ = l.file.Close()
	return kept
}
