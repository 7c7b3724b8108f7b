package runner

import "sync"

// backlogLimit is how many bytes of each stream are kept for those who attach later or fall behind.
// The oldest go first.
const backlogLimit = 256 << 10

// streamID is the channel byte of a stream in an attach frame.
type streamID byte

const (
	stdout streamID = 1
	stderr streamID = 2
)

// output is what an execution has written: the window of the last backlogLimit bytes of each
// stream. A reader holds a cursor and asks for what lies behind it, so replay and live output are
// one sequence and there is no moment between them in which a byte could be lost or doubled.
type output struct {
	mu      sync.Mutex
	streams [2]window
	sealed  bool
	wake    chan struct{} // closed at the next change; nil when nobody waits

	consume bool // seeded bug attach-loss: what was handed to a reader is gone
	alias   bool // seeded bug output-bleed: keep the slice that was handed in, not a copy
}

// window is the kept part of one stream.
type window struct {
	chunks [][]byte
	base   int64 // position in the stream of the first kept byte
	end    int64 // position behind the last byte
}

// cursor is a reader's place in each stream.
type cursor [2]int64

// chunkSize is the size up to which small writes are gathered in one chunk.
const chunkSize = 4 << 10

// append adds p to the stream. The caller may reuse p. After seal it does nothing.
func (o *output) append(id streamID, p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed || len(p) == 0 {
		return
	}
	w := &o.streams[id-1]
	if o.alias {
		w.chunks = append(w.chunks, p)
	} else {
		w.store(p)
	}
	w.end += int64(len(p))
	w.trim(w.end - backlogLimit)
	o.notify()
}

// store copies p to the end of the window.
func (w *window) store(p []byte) {
	if n := len(w.chunks); n > 0 {
		if last := w.chunks[n-1]; len(last)+len(p) <= cap(last) {
			w.chunks[n-1] = append(last, p...)
			return
		}
	}
	// Most executions write little and are kept for minutes, so room is made only for those that
	// have shown that they write on.
	room := max(len(p), min(chunkSize, int(w.end-w.base)))
	w.chunks = append(w.chunks, append(make([]byte, 0, room), p...))
}

// trim drops what lies before position to.
func (w *window) trim(to int64) {
	for w.base < to && len(w.chunks) > 0 {
		n := min(to-w.base, int64(len(w.chunks[0])))
		w.base += n
		if w.chunks[0] = w.chunks[0][n:]; len(w.chunks[0]) == 0 {
			w.chunks[0] = nil
			w.chunks = w.chunks[1:]
		}
	}
}

// frame returns what lies behind position from as an attach frame, nil if there is nothing.
func (w *window) frame(id streamID, from int64) []byte {
	from = max(from, w.base)
	if from >= w.end {
		return nil
	}
	f := append(make([]byte, 0, 1+w.end-from), byte(id))
	at := w.base
	for _, c := range w.chunks {
		if skip := from - at; skip < int64(len(c)) {
			f = append(f, c[max(skip, 0):]...)
		}
		at += int64(len(c))
	}
	return f
}

// next returns a frame for each stream that has something behind c, and moves c past it. When there
// is nothing it returns the channel that is closed at the next change, or nil if there will be none
// because the output is sealed. A reader that was more than backlogLimit behind loses the oldest
// bytes.
func (o *output) next(c *cursor) (frames [][]byte, wake <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.streams {
		w := &o.streams[i]
		if f := w.frame(streamID(i+1), c[i]); f != nil {
			frames = append(frames, f)
			c[i] = w.end
			if o.consume {
				w.trim(w.end)
			}
		}
	}
	if frames != nil || o.sealed {
		return frames, nil
	}
	if o.wake == nil {
		o.wake = make(chan struct{})
	}
	return nil, o.wake
}

// tail returns a cursor behind everything written so far.
func (o *output) tail() cursor {
	o.mu.Lock()
	defer o.mu.Unlock()
	return cursor{o.streams[0].end, o.streams[1].end}
}

// seal ends the output: later appends are ignored.
func (o *output) seal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealed = true
	o.notify()
}

// total is the number of bytes written so far to both streams.
func (o *output) total() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.streams[0].end + o.streams[1].end
}

func (o *output) notify() {
	if o.wake != nil {
		close(o.wake)
		o.wake = nil
	}
}
