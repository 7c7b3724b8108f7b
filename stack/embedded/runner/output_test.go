package runner

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever is written and read in whatever order, a reader gets a stream without a gap as long as
// it is not more than the limit behind, and exactly the last bytes else.
func TestOutputAgainstAPlainSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o output
		var written [2][]byte
		type reader struct {
			at  cursor
			pos [2]int
		}
		readers := make([]reader, 3)
		next := byte(0)
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				id := rapid.SampledFrom([]streamID{stdout, stderr}).Draw(t, "stream")
				p := make([]byte, rapid.OneOf(rapid.IntRange(0, 30), rapid.IntRange(0, 40_000)).Draw(t, "size"))
				for i := range p {
					p[i] = next
					next++
				}
				o.append(id, p)
				written[id-1] = append(written[id-1], p...)
				clear(p) // the caller reuses its buffer
			},
			"read": func(t *rapid.T) {
				r := &readers[rapid.IntRange(0, 2).Draw(t, "reader")]
				frames, wake := o.next(&r.at)
				if frames == nil && wake == nil {
					t.Fatal("an open output says that it is sealed")
				}
				for _, f := range frames {
					i := f[0] - 1
					from := max(r.pos[i], len(written[i])-backlogLimit)
					if !bytes.Equal(f[1:], written[i][from:]) {
						t.Fatalf("stream %d: got %d bytes, want those from %d of %d", i+1, len(f)-1, from, len(written[i]))
					}
				}
				r.pos = [2]int{len(written[0]), len(written[1])}
				if frames != nil {
					return
				}
				select {
				case <-wake:
					t.Fatal("woken without a change")
				default:
				}
			},
		})
	})
}

func TestOutputWakesReaders(t *testing.T) {
	var o output
	var at cursor
	_, wake := o.next(&at)
	require.NotNil(t, wake)
	o.append(stderr, []byte("x"))
	<-wake
	frames, _ := o.next(&at)
	require.Equal(t, [][]byte{{2, 'x'}}, frames)
	_, wake = o.next(&at)
	o.seal()
	<-wake
	frames, wake = o.next(&at)
	require.Nil(t, frames)
	require.Nil(t, wake)
	o.append(stdout, []byte("late"))
	frames, _ = o.next(&at)
	require.Nil(t, frames)
	require.Equal(t, int64(1), o.total())
}

// Many small writes must not cost a chunk each.
func TestOutputGathersSmallWrites(t *testing.T) {
	var o output
	for range backlogLimit {
		o.append(stdout, []byte("x"))
	}
	require.Less(t, len(o.streams[0].chunks), 2*backlogLimit/chunkSize)
}
