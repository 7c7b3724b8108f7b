package journal

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

type sent struct {
	prio                int
	identifier, message string
	fields              map[string]string
}

type fakeWriter struct {
	sent []sent
	err  error
}

func (w *fakeWriter) Send(prio int, identifier, message string, fields map[string]string) error {
	w.sent = append(w.sent, sent{prio, identifier, message, fields})
	return w.err
}
func (w *fakeWriter) Close() error { return nil }

type point struct{ x, y int }

func (p point) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddInt("y", p.y)
	enc.AddInt("x", p.x)
	return nil
}

func TestCoreFormatsFields(t *testing.T) {
	for want, fields := range map[string][]zap.Field{
		`m`:                                 nil,
		`m z=1 a=2`:                         {zap.Int("z", 1), zap.Int("a", 2)},
		`m s=plain t="two words" u="a=b"`:   {zap.String("s", "plain"), zap.String("t", "two words"), zap.String("u", "a=b")},
		`m s="" t="say \"x\"" u="a\nb"`:     {zap.String("s", ""), zap.String("t", `say "x"`), zap.String("u", "a\nb")},
		`m s=grüß t="\xff" u="a\u00a0b"`:    {zap.String("s", "grüß"), zap.String("t", "\xff"), zap.String("u", "a\u00a0b")},
		`m d=1.5s b=true f=0.25`:            {zap.Duration("d", 1500*time.Millisecond), zap.Bool("b", true), zap.Float64("f", 0.25)},
		`m t=2026-02-03T04:05:06.000007Z`:   {zap.Time("t", time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC))},
		`m error="no such box" n=1`:         {zap.Error(errors.New("no such box")), zap.Int("n", 1)},
		`m error="a: b"`:                    {zap.Error(verbose{})},
		`m l="[\"a\",\"b\"]" b=raw`:         {zap.Strings("l", []string{"a", "b"}), zap.ByteString("b", []byte("raw"))},
		`m p="{\"x\":1,\"y\":2}" x=3 y=4`:   {zap.Object("p", point{1, 2}), zap.Inline(point{3, 4})},
		`m a=1 ns.b=2 ns.deep.c=3`:          {zap.Int("a", 1), zap.Namespace("ns"), zap.Int("b", 2), zap.Namespace("deep"), zap.Int("c", 3)},
		`m st=10.0.0.1 nil=<nil> lvl=error`: {zap.Stringer("st", addr{}), zap.Reflect("nil", nil), zap.Stringer("lvl", zapcore.ErrorLevel)},
	} {
		t.Run(want, func(t *testing.T) {
			w := &fakeWriter{}
			zap.New(NewCore(w, "id", zap.DebugLevel)).Info("m", fields...)
			require.Equal(t, []sent{{6, "id", want, nil}}, w.sent)
		})
	}
}

type verbose struct{}

func (verbose) Error() string                 { return "a: b" }
func (verbose) Format(s fmt.State, verb rune) { fmt.Fprint(s, "a: b\nstack\nof\nmany\nlines") }

type addr struct{}

func (addr) String() string { return "10.0.0.1" }

func TestCoreKeepsContextApart(t *testing.T) {
	w := &fakeWriter{}
	base := zap.New(NewCore(w, "id", zap.DebugLevel)).With(zap.Int("base", 1))
	a := base.With(zap.String("who", "a"), zap.Namespace("in"))
	b := base.With(zap.String("who", "b"))
	a.Info("m", zap.Int("n", 1))
	b.Info("m", zap.Int("n", 2))
	base.Info("m")
	require.Equal(t, []sent{
		{6, "id", "m base=1 who=a in.n=1", nil}, {6, "id", "m base=1 who=b n=2", nil}, {6, "id", "m base=1", nil},
	}, w.sent)
}

func TestCoreLevels(t *testing.T) {
	w := &fakeWriter{}
	log := zap.New(NewCore(w, "id", zap.InfoLevel))
	log.Debug("hidden")
	log.Info("i")
	log.Warn("w")
	log.Error("e")
	log.DPanic("d")
	require.Panics(t, func() { log.Panic("p") })
	var got []int
	for _, s := range w.sent {
		got = append(got, s.prio)
	}
	require.Equal(t, []int{6, 4, 3, 2, 2}, got)
	require.Equal(t, 7, priority(zap.DebugLevel))
}

func TestCoreSendsOrigin(t *testing.T) {
	w := &fakeWriter{}
	zap.New(NewCore(w, "id", zap.InfoLevel), zap.AddCaller(), zap.AddStacktrace(zap.InfoLevel)).Named("sub").Info("m")
	require.Len(t, w.sent, 1)
	f := w.sent[0].fields
	require.Equal(t, "sub", f["LOGGER"])
	require.Contains(t, f["CODE_FILE"], "core_test.go")
	require.Contains(t, f["CODE_FUNC"], "TestCoreSendsOrigin")
	require.Contains(t, f["STACK"], "TestCoreSendsOrigin")
	require.NoError(t, checkSend(6, f))
}

func TestCoreReportsFailure(t *testing.T) {
	c := NewCore(&fakeWriter{err: errors.New("full")}, "id", zap.InfoLevel)
	require.ErrorContains(t, c.Write(zapcore.Entry{Message: "m"}, nil), "full")
}
