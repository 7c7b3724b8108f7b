package campaign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"chaos/corpus"
	"chaos/model"
	"chaos/model/plantext"
)

// runFile says what the run of a folder was; whoever makes it owns the folder.
const runFile = "run.json"

// Files of one saved history.
const (
	planFile    = "plan.txt"
	historyFile = "history.jsonl"
	verdictFile = "verdict.json"
)

// maxHistory bounds the files that are read back. The longest plans with the most output come to some
// 20 MiB.
const maxHistory = 256 << 20

// keptPasses is how many of the latest histories without a violation stay in a run folder.
const keptPasses = 10

// keptViolated bounds the histories with a violation that a run folder keeps; the cases in the
// corpus hold what matters of each.
const keptViolated = 200

// Folder is where a run keeps its histories: each is written before it is judged, so that a judge
// that fails loses nothing.
type Folder struct {
	dir      string
	mu       sync.Mutex
	next     int
	passes   []string
	violated int
	names    map[string]string // of what is kept, by token
}

// RunInfo is what a run folder says of its run.
type RunInfo struct {
	Began time.Time `json:"began"`
	Stack string    `json:"stack"`
	Seed  int64     `json:"seed"`
	Chaos string    `json:"chaos"` // version of the program
}

// TakenError is a folder that belongs to another run already.
type TakenError struct{ Dir string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("folder %s is not empty; name a new one", e.Dir)
}

// OpenFolder makes dir if it is missing and claims it for one run. A folder of another run is refused
// with a TakenError rather than mixed up, even if both runs come at the same moment.
func OpenFolder(dir string, info RunInfo) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make run folder: %w", err)
	}
	if err := Vacant(dir); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return nil, err
	}
	// Of all who see the folder empty, one makes this file.
	f, err := os.OpenFile(filepath.Join(dir, runFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, &TakenError{dir}
	}
	if err == nil {
		_, err = f.Write(append(text, '\n'))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("claim run folder: %w", err)
	}
	return &Folder{dir: dir, names: map[string]string{}}, nil
}

// Vacant returns nil if dir is empty or does not exist, so that OpenFolder would take it.
func Vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("read run folder: %w", err)
	case len(entries) > 0:
		return &TakenError{dir}
	}
	return nil
}

// Dir returns the folder's path.
func (f *Folder) Dir() string { return f.dir }

// Save writes h and returns what must be called with its verdict.
func (f *Folder) Save(h *model.History) (done func(model.Verdict), err error) {
	f.mu.Lock()
	f.next++
	sub := filepath.Join(f.dir, fmt.Sprintf("%06d", f.next))
	f.mu.Unlock()
	if err := os.MkdirAll(sub, 0o755); err != nil {
		return nil, err
	}
	lines, err := h.MarshalLines()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(sub, planFile), []byte(plantext.Print(h.Plan)), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(sub, historyFile), lines, 0o644); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names[h.Meta.Token] = filepath.Base(sub)
	return func(v model.Verdict) { f.judged(sub, h.Meta.Token, v) }, nil
}

// Name returns the name of the folder that h is kept in, or "".
func (f *Folder) Name(h *model.History) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.names[h.Meta.Token]
}

// judged keeps the history with its verdict, or drops it when there are enough of its kind. What
// cannot be written is missing from the folder but does no harm to the run.
func (f *Folder) judged(sub, token string, v model.Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v.Status == model.Pass {
		delete(f.names, token) // nobody asks for it, and it goes soon
		f.passes = append(f.passes, sub)
		if len(f.passes) > keptPasses {
			_ = os.RemoveAll(f.passes[0])
			f.passes = f.passes[1:]
		}
	} else if f.violated++; f.violated > keptViolated {
		delete(f.names, token)
		_ = os.RemoveAll(sub)
		return
	}
	if b, err := json.MarshalIndent(v, "", "  "); err == nil {
		_ = os.WriteFile(filepath.Join(sub, verdictFile), append(b, '\n'), 0o644)
	}
}

// Saved is one history read back.
type Saved struct {
	Path    string
	History *model.History
	Verdict *model.Verdict // as written when it was judged, nil if it never was
}

// ReadFolder reads the histories of a run folder, or the one history of a folder inside it, in order.
// read is called for each; unreadable ones are returned as errors that name the file.
func ReadFolder(dir string, vocab model.Vocabulary, read func(Saved)) []error {
	subs, err := historyFolders(dir)
	if err != nil {
		return []error{err}
	}
	var errs []error
	for _, sub := range subs {
		s, err := readSaved(sub, vocab)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		read(s)
	}
	return errs
}

// historyFolders returns dir itself if it holds a history, or else the folders in it that do.
func historyFolders(dir string) ([]string, error) {
	if hasHistory(dir) {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read run folder: %w", err)
	}
	var out []string
	for _, e := range entries {
		if sub := filepath.Join(dir, e.Name()); hasHistory(sub) {
			out = append(out, sub)
		}
	}
	return out, nil
}

// hasHistory is also true for a history that cannot be read: that is not passed over in silence.
func hasHistory(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, historyFile))
	return err == nil
}

func readSaved(sub string, vocab model.Vocabulary) (Saved, error) {
	s := Saved{Path: sub}
	text, err := corpus.ReadRegular(filepath.Join(sub, planFile), "plan", corpus.MaxSize)
	if err != nil {
		return s, err
	}
	plan, err := plantext.Parse(string(text), vocab)
	if err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(sub, planFile), err)
	}
	data, err := corpus.ReadRegular(filepath.Join(sub, historyFile), "history", maxHistory)
	if err != nil {
		return s, err
	}
	if s.History, err = model.ReadHistory(data, plan); err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(sub, historyFile), err)
	}
	s.Verdict, err = readVerdict(filepath.Join(sub, verdictFile))
	return s, err
}

// readVerdict returns nil if there is none: the run was ended before it judged.
func readVerdict(path string) (*model.Verdict, error) {
	b, err := corpus.ReadRegular(path, "verdict", maxHistory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var v model.Verdict
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &v, nil
}
