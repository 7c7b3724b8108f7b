package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// guard is stdout or stderr. What a server sends or a file holds may be printed through it: control
// characters, which could do anything to a terminal, come out spelled, in a form that JSON has too. It
// remembers the first error.
type guard struct {
	w    io.Writer
	line *statusLine
	mu   sync.Mutex
	part []byte // the beginning of a character whose rest is still to come
	err  error
}

// Write implements io.Writer.
func (g *guard) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	text := append(g.part, p...)
	whole := len(text) - partial(text)
	g.part = append([]byte(nil), text[whole:]...)
	g.line.clear()
	if _, err := io.WriteString(g.w, plain(string(text[:whole]))); err != nil {
		if g.err == nil {
			g.err = err
		}
		return 0, err
	}
	return len(p), nil
}

// close writes out what is left and returns the first error of all.
func (g *guard) close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.part) > 0 && g.err == nil {
		_, g.err = io.WriteString(g.w, plain(string(g.part)))
		g.part = nil
	}
	return g.err
}

// partial returns how many bytes at the end of text begin a character and do not end it.
func partial(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// plain spells what is not for display: control characters, those that change the direction of
// writing, and bytes that are no text.
func plain(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return hidden(r) || r == utf8.RuneError }) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "\\x%02x", s[i])
		case hidden(r):
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func hidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return true
	}
	return unicode.Is(unicode.Bidi_Control, r)
}

// statusLine is the last line of the terminal that stderr is, which says how things stand and is drawn
// again and again. Where stderr is no terminal, each drawing is a line of its own. Its methods may be
// called at the same time.
type statusLine struct {
	w        io.Writer
	terminal bool
	width    func() int // of the terminal, 0 = not known
	every    time.Duration
	mu       sync.Mutex
	drawn    int // characters that stand there
}

func newStatusLine(stderr io.Writer) *statusLine {
	l := &statusLine{w: stderr, every: 10 * time.Second, width: func() int { return 0 }}
	if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		l.terminal, l.every = true, 500*time.Millisecond
		l.width = func() int {
			n, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 0
			}
			return n
		}
	}
	return l
}

// draw replaces what stands there.
func (l *statusLine) draw(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text = plain(text)
	if !l.terminal {
		fmt.Fprintln(l.w, text)
		return
	}
	// A line that wraps could not be drawn over.
	r := []rune(text)
	if most := l.width() - 1; most > 0 && len(r) > most {
		r = append(r[:most-1], '…')
	}
	fmt.Fprintf(l.w, "\r%s%s", string(r), strings.Repeat(" ", max(0, l.drawn-len(r))))
	l.drawn = len(r)
}

// clear takes the line away, so that something else can be printed.
func (l *statusLine) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drawn > 0 {
		fmt.Fprintf(l.w, "\r%s\r", strings.Repeat(" ", l.drawn))
		l.drawn = 0
	}
}

// show draws what text returns until the function it returns is called. An empty text is not drawn.
func (l *statusLine) show(text func() string) (stop func()) {
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		t := time.NewTicker(l.every)
		defer t.Stop()
		for {
			select {
			case <-quit:
				return
			case <-t.C:
				if s := text(); s != "" {
					l.draw(s)
				}
			}
		}
	})
	return sync.OnceFunc(func() {
		close(quit)
		done.Wait()
		l.clear()
	})
}
