package journal

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// A journald that is frozen or down must not bring those to a halt who log. An entry that it does not take
// is queued, and sent by a goroutine that lives as long as there are any.
const (
	// queuePatience is how long Send waits for its entry to be taken, before it leaves it in the queue.
	// While nothing is taken, further entries are left there at once.
	queuePatience = time.Second
	// queueLimit is how many bytes the queue may hold. Entries that find no room are counted, and the log
	// says how many were lost.
	queueLimit = 8 << 20
	// flushPatience is how long Flush and Close wait.
	flushPatience = time.Second
)

// errQueueFull is what Send returns for an entry that was dropped.
var errQueueFull = errors.New("the log takes nothing in, and too much waits for it")

// queued is an entry that waits.
type queued struct {
	entry []byte
	count int        // how many entries are lost with it: 1, or those that it tells of
	sent  chan error // gets the outcome
}

// queue is the part of a socketWriter that its mutex guards, for entries that wait.
type queue struct {
	waiting []*queued // oldest first
	size    int       // bytes in waiting
	lost    int       // entries that were dropped and that no note tells of yet
	stuck   bool      // somebody's patience is at its end
	empty   chan struct{}
}

// LossNote is the message and the fields of an entry which says that others were lost: Suppressed recognizes
// it.
func LossNote(n int) (message string, fields map[string]string) {
	return fmt.Sprintf("%d log entries were lost here", n), map[string]string{fieldMessageID: suppressedID}
}

// push adds an entry, behind a note if some were lost before it. It returns nil when there is no room.
func (q *queue) push(entry []byte) *queued {
	if q.size+len(entry) > queueLimit {
		q.lost++
		return nil
	}
	q.note()
	return q.add(entry, 1)
}

// note adds a note about the entries that were lost.
func (q *queue) note() {
	if q.lost == 0 {
		return
	}
	message, fields := LossNote(q.lost)
	q.add(nativeEntry(4, "", message, fields), q.lost)
	q.lost = 0
}

func (q *queue) add(entry []byte, count int) *queued {
	e := &queued{entry, count, make(chan error, 1)}
	q.waiting = append(q.waiting, e)
	q.size += len(entry)
	return e
}

// pop removes the oldest, which err says whether it was sent.
func (q *queue) pop(err error) {
	e := q.waiting[0]
	q.waiting = q.waiting[1:]
	q.size -= len(e.entry)
	if err != nil {
		q.lost += e.count
	}
	e.sent <- err
}

// sendQueued queues an entry and waits a while for its turn. The caller holds mu, which is released.
func (w *socketWriter) sendQueued(entry []byte) error {
	e := w.push(entry)
	if e != nil && w.empty == nil {
		w.empty = make(chan struct{})
		go w.drain()
	}
	stuck := w.stuck
	w.mu.Unlock()
	if e == nil {
		return errQueueFull
	}
	if stuck {
		return nil
	}
	t := time.NewTimer(queuePatience)
	defer t.Stop()
	select {
	case err := <-e.sent:
		return err
	case <-t.C:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = w.empty != nil
	return nil
}

// drain sends what is queued until nothing is.
func (w *socketWriter) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for worked := true; ; {
		if len(w.waiting) == 0 && worked {
			w.note()
		}
		if len(w.waiting) == 0 {
			close(w.empty)
			w.empty, w.stuck = nil, false
			return
		}
		e, conn := w.waiting[0], w.conn
		w.mu.Unlock()
		err := w.deliver(conn, e.entry)
		w.mu.Lock()
		w.pop(err)
		worked = err == nil
	}
}

// deliver sends an entry, and blocks while journald takes nothing.
func (w *socketWriter) deliver(conn *net.UnixConn, entry []byte) error {
	err := sendNative(conn, entry)
	if !gone(err) {
		return err
	}
	// The journald at the other end has ended and taken in nothing: there may be a new one.
	if conn, err = w.connection(conn); err != nil {
		return err
	}
	return sendNative(conn, entry)
}

// Flush returns when nothing is queued any more. It waits a second at most, and then says so.
func (w *socketWriter) Flush() error {
	w.mu.Lock()
	empty := w.empty
	w.mu.Unlock()
	if empty == nil {
		return nil
	}
	t := time.NewTimer(flushPatience)
	defer t.Stop()
	select {
	case <-empty:
		return nil
	case <-t.C:
		return errors.New("flush log: entries still wait")
	}
}
