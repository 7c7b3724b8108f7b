package live

import (
	"errors"
	"strings"

	"chaos/stack"
	"chaos/stack/journal"
)

// ParseControl reads which systemd units the parts of a stack are, like unit:api=NAME,runner=NAME; "" is
// none.
func ParseControl(text string) (map[stack.Part]string, error) {
	if text == "" {
		return nil, nil
	}
	want := errors.New("want unit:api=NAME,runner=NAME, or one of the two")
	list, ok := strings.CutPrefix(text, "unit:")
	if !ok {
		return nil, want
	}
	out := map[stack.Part]string{}
	for pair := range strings.SplitSeq(list, ",") {
		part, unit, ok := strings.Cut(pair, "=")
		p := stack.Part(part)
		if _, err := ParseJournal("unit:" + unit); !ok || err != nil || p != stack.API && p != stack.Runner || out[p] != "" {
			return nil, want
		}
		out[p] = journal.UnitName(unit)
	}
	return out, nil
}
