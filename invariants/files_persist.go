package invariants

import (
	"fmt"
	"strings"

	"chaos/model"
)

type filesPersist struct{}

var _ = register(filesPersist{})

func (filesPersist) Name() string { return "files-persist" }

func (filesPersist) Promise() string {
	return "A file of a box holds, whole, what was written to it last, also after the box was stopped and started; a new box has none."
}

func (filesPersist) Source() string {
	return "BoxLite state machine: the root file system survives a stop; test_restart_persistence, test_lifecycle_comprehensive"
}

func (filesPersist) Check(f *Facts) []Finding {
	var out []Finding
	for _, ref := range f.BoxRefs() {
		for _, file := range model.Files {
			out = append(out, f.fileFindings(ref, file)...)
		}
	}
	return out
}

// access is one write or read of a file. It took effect between invoke and known.
type access struct {
	call   *model.Call
	invoke int64
	known  int64 // when it was seen that it had happened; never, if it may not have
}

// content is everything that wrote or read one content of a file. The file held it without a break
// from the write to the last of the reads.
type content struct {
	write       access
	reads       []access
	first, last access // the one known first, and the one invoked last
	absent      bool
}

func (c *content) add(a access) {
	if a.known < c.first.known {
		c.first = a
	}
	if a.invoke > c.last.invoke {
		c.last = a
	}
}

// fileFindings judges one file of one box. The file is a register and every write is unique, so the
// reads say which of them each one read. Then the history is linearizable if and only if no read was
// over before its write began and no two contents each have an access that was over before one of the
// other began: the contents can be put in order by the time of their first known access, and a longer
// cycle always holds one of two (Gibbons and Korach, "Testing shared memories", 1997).
func (f *Facts) fileFindings(box model.Ref, file string) []Finding {
	var out []Finding
	byToken := map[string]*content{}
	var all []*content
	begin := func(token string, a access, absent bool) {
		byToken[token] = &content{write: a, first: a, last: a, absent: absent}
		all = append(all, byToken[token])
	}
	begin(model.FileAbsent, access{invoke: -1, known: -1}, true)
	for _, w := range f.writes(box, file) {
		begin(w.call.Payload.Token, w, false)
	}
	for _, x := range f.execs {
		known, value, ok := x.toldAt(model.TellRead)
		if x.Start.Box != box || x.Start.Payload.Read != file || !ok {
			continue
		}
		r := access{x.Start, x.Start.Invoke, known}
		token, _, _ := strings.Cut(value, " ")
		c := byToken[token]
		switch {
		case c == nil:
			if f.foreignFile(box, value) == "" {
				out = append(out, damaged(r, file, value))
			}
		case !c.absent && value != model.FileValue(token, file):
			out = append(out, damaged(r, file, value))
		case r.known < c.write.invoke:
			out = append(out, Finding{Call: r.call, State: noState, Detail: "file read before it was written", Also: []*model.Call{c.write.call},
				Message: fmt.Sprintf("%s read from %s what %s wrote later", label(r.call), file, label(c.write.call)), Got: value})
		default:
			c.reads = append(c.reads, r)
			c.add(r)
		}
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.first.known < b.last.invoke && b.first.known < a.last.invoke {
				out = append(out, f.conflict(box, file, a, b))
			}
		}
	}
	if len(out) > 1 {
		out = out[:1] // the others follow from the same loss, mostly
	}
	return out
}

// writes returns the writes of a file that may have happened. That one happened is known when the
// command says so.
func (f *Facts) writes(box model.Ref, file string) []access {
	started := map[*model.Call]*Exec{}
	for _, x := range f.execs {
		started[x.Start] = x
	}
	var out []access
	for _, c := range f.OfBox(box) {
		if c.Op != model.OpExec || c.Payload == nil || c.Payload.Write != file {
			continue
		}
		a := access{c, c.Invoke, never}
		if x := started[c]; x != nil {
			if at, value, ok := x.toldAt(model.TellWrite); ok && value == model.TellOK {
				a.known = at
			}
		}
		out = append(out, a)
	}
	return out
}

func damaged(r access, file, value string) Finding {
	return Finding{Call: r.call, State: noState, Detail: "file damaged",
		Message: fmt.Sprintf("%s found in %s what no exec wrote there", label(r.call), file), Allowed: "the whole content that some exec wrote", Got: value}
}

// conflict is the finding about two contents that cannot be put in order. One of the two accesses that
// came too late for them is a read.
func (f *Facts) conflict(box model.Ref, file string, a, b *content) Finding {
	old, since := a, b
	if r := a.last; r.call == nil || r.call == a.write.call || b.last.call != b.write.call && b.last.invoke > r.invoke {
		old, since = b, a
	}
	read, proof := old.last.call, since.first
	what := "an older content"
	if old.absent {
		what = "nothing"
	}
	detail := "file not the last one written"
	if old.absent {
		detail = "file gone"
	}
	if f.stoppedBetween(box, proof.invoke, read.Invoke) {
		detail += " after a restart"
	}
	got := model.FileAbsent
	if !old.absent {
		got = "what " + label(old.write.call) + " wrote"
	}
	out := Finding{Call: read, State: noState, Detail: detail, Got: got, Allowed: "the content written last"}
	if proof.call != nil {
		out.Also = []*model.Call{proof.call}
		out.Message = fmt.Sprintf("%s found %s in %s of %s, which held something newer by %s: %s", label(read), what, file, box, at(proof.known), label(proof.call))
	} else {
		out.Message = fmt.Sprintf("%s found %s in %s of %s", label(read), what, file, box)
	}
	return out
}

// stoppedBetween reports whether a stop of box that was not refused was sent between two times.
func (f *Facts) stoppedBetween(box model.Ref, from, to int64) bool {
	for _, c := range f.OfBox(box) {
		if c.Op == model.OpStop && c.Outcome != model.Rejected && c.Return >= from && c.Invoke <= to {
			return true
		}
	}
	return false
}
