package journal

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"
)

// core is a zap core in front of a Writer.
type core struct {
	zapcore.LevelEnabler
	w          Writer
	identifier string
	context    string // the fields of With, formatted
	prefix     string // of the open namespaces
}

// NewCore returns a zap core that sends every entry of an enabled level to w, in the caller's
// goroutine. The entry's MESSAGE is the log message followed by the fields in their order, as
// key=value, the value in Go quotes where it is empty or holds a space, a quote, an equals sign or
// anything unprintable. Logger name, caller and stack become the journal fields LOGGER, CODE_FILE,
// CODE_LINE, CODE_FUNC and STACK.
func NewCore(w Writer, identifier string, level zapcore.LevelEnabler) zapcore.Core {
	return &core{LevelEnabler: level, w: w, identifier: identifier}
}

func (c *core) With(fields []zapcore.Field) zapcore.Core {
	clone := *c
	var b strings.Builder
	b.WriteString(c.context)
	clone.prefix = appendFields(&b, c.prefix, fields)
	clone.context = b.String()
	return &clone
}

func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	var b strings.Builder
	b.WriteString(e.Message)
	b.WriteString(c.context)
	appendFields(&b, c.prefix, fields)
	return c.w.Send(priority(e.Level), c.identifier, b.String(), origin(e))
}

// Sync sends what waits in the writer, if it is one that lets entries wait.
func (c *core) Sync() error {
	if w, ok := c.w.(interface{ Flush() error }); ok {
		return w.Flush()
	}
	return nil
}

// priority never gives 0 or 1: journald may send those to every terminal.
func priority(l zapcore.Level) int {
	switch {
	case l < zapcore.InfoLevel:
		return 7
	case l == zapcore.InfoLevel:
		return 6
	case l == zapcore.WarnLevel:
		return 4
	case l == zapcore.ErrorLevel:
		return 3
	}
	return 2
}

// origin tells where an entry comes from, nil if zap was not asked to find out.
func origin(e zapcore.Entry) map[string]string {
	if e.LoggerName == "" && !e.Caller.Defined && e.Stack == "" {
		return nil
	}
	fields := map[string]string{}
	if e.LoggerName != "" {
		fields["LOGGER"] = e.LoggerName
	}
	if e.Caller.Defined {
		fields["CODE_FILE"] = e.Caller.File
		fields["CODE_LINE"] = strconv.Itoa(e.Caller.Line)
		fields["CODE_FUNC"] = e.Caller.Function
	}
	if e.Stack != "" {
		fields["STACK"] = e.Stack
	}
	return fields
}

// appendFields writes " key=value" for each field and returns the prefix for what follows.
func appendFields(b *strings.Builder, prefix string, fields []zapcore.Field) string {
	for _, f := range fields {
		if f.Type == zapcore.NamespaceType {
			prefix += f.Key + "."
			continue
		}
		enc := zapcore.NewMapObjectEncoder()
		f.AddTo(enc)
		if f.Type == zapcore.ErrorType {
			delete(enc.Fields, f.Key+"Verbose") // the same again over many lines
		}
		for _, key := range slices.Sorted(maps.Keys(enc.Fields)) { // mostly one
			b.WriteByte(' ')
			b.WriteString(prefix)
			b.WriteString(key)
			b.WriteByte('=')
			b.WriteString(quote(format(enc.Fields[key])))
		}
	}
	return prefix
}

// format makes text of what a MapObjectEncoder holds.
func format(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case map[string]any, []any:
		if text, err := json.Marshal(v); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v) // durations and other types that can print themselves do
}

func quote(s string) string {
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return r == '"' || r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}) {
		return strconv.Quote(s)
	}
	return s
}
