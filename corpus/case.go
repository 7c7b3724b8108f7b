package corpus

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"chaos/corpus/shrink"
	"chaos/model"
	"chaos/model/plantext"
)

// Ext is the extension of case files.
const Ext = ".case"

// firstLine names the form of the file and its version.
const firstLine = "# chaos case 1"

// Header is a header line that chaos does not know.
type Header struct{ Key, Value string }

// Case is a failure that was found: a plan, what it violates, and how often.
type Case struct {
	Name        string // name of the file without Ext, "" before it is saved
	Signature   model.Signature
	Promise     string             // the promise that is broken, in one sentence
	Found       string             // when and how
	Build       string             // what was tested
	Bugs        []string           // seeded bugs that were switched on, sorted
	Profile     string             // of the contract that it was found under; "" = cloud
	Flags       string             // where that contract differs from the profile's own, as model.ParseFlags reads them
	Reference   string             // an issue or pull request, "" if none is known
	Certificate shrink.Certificate // the zero value when it was never measured
	Shrunk      string             // what shrinking did
	Extra       []Header           // unknown header lines, in their order
	Plan        model.Plan
	Excerpt     []string // lines about the first failing run
}

// Finding identifies what was found: cases with equal findings are about the same failure.
type Finding struct {
	Signature model.Signature
	Bugs      string // comma-separated
	Contract  string // "" = cloud as it is
}

// Finding returns what c is about.
func (c *Case) Finding() Finding {
	f := Finding{Signature: c.Signature, Bugs: strings.Join(tidyBugs(c.Bugs), ",")}
	if name := c.contractName(); name != usual {
		f.Contract = name
	}
	return f
}

// usual is the profile of cases that do not name one.
const usual = "cloud"

// contractName is the same for equal contracts, however they are written.
func (c *Case) contractName() string {
	profile := cmp.Or(c.Profile, usual)
	if flags, err := model.ParseFlags(c.Flags); err == nil {
		if contract, ok := model.Lookup(profile, flags); ok {
			return contract.String()
		}
	}
	return profile + " (" + c.Flags + ")"
}

// field is a header line that chaos knows.
type field struct {
	key   string
	get   func(*Case) string
	set   func(*Case, string) error
	empty bool // written even when empty
}

// text is a field that holds free text.
func text(key string, at func(*Case) *string) field {
	return field{key: key,
		get: func(c *Case) string { return *at(c) },
		set: func(c *Case, v string) error { *at(c) = v; return nil }}
}

// fields are the header lines in the order they are written.
var fields = []field{
	{key: "signature",
		get: func(c *Case) string { return c.Signature.String() },
		set: func(c *Case, v string) (err error) { c.Signature, err = model.ParseSignature(v); return err }},
	text("promise", func(c *Case) *string { return &c.Promise }),
	text("found", func(c *Case) *string { return &c.Found }),
	text("build", func(c *Case) *string { return &c.Build }),
	{key: "bugs", empty: true,
		get: func(c *Case) string { return strings.Join(c.Bugs, ", ") },
		set: func(c *Case, v string) error { c.Bugs = tidyBugs(strings.Split(v, ",")); return nil }},
	{key: "profile", get: func(c *Case) string { return c.Profile }, set: setProfile},
	{key: "contract", get: func(c *Case) string { return c.Flags }, set: setFlags},
	text("reference", func(c *Case) *string { return &c.Reference }),
	{key: "certificate", get: certificateText, set: setCertificate},
	text("shrunk", func(c *Case) *string { return &c.Shrunk }),
}

func setProfile(c *Case, v string) error {
	if v != "" && !slices.Contains(model.Profiles(), v) {
		return fmt.Errorf("no profile is called %q; want one of %s", v, strings.Join(model.Profiles(), " "))
	}
	c.Profile = v
	return nil
}

func setFlags(c *Case, v string) error {
	flags, err := model.ParseFlags(v)
	c.Flags = flags.String()
	return err
}

func certificateText(c *Case) string {
	if c.Certificate.Runs == 0 {
		return ""
	}
	return c.Certificate.String()
}

var certificateForm = regexp.MustCompile(`^fails (\d{1,7}) of (\d{1,7}) (fresh|search) runs`)

// setCertificate reads a certificate. The interval follows from the counts; one that does not is a
// mistake of whoever edited the line.
func setCertificate(c *Case, v string) error {
	m := certificateForm.FindStringSubmatch(v)
	if m == nil {
		return errors.New(`want a certificate like "fails 41 of 60 fresh runs (95 %: 55–80 %)"`)
	}
	var k, n int
	if _, err := fmt.Sscan(m[1]+" "+m[2], &k, &n); err != nil || k > n || n == 0 {
		return fmt.Errorf("%s failures in %s runs is not possible", m[1], m[2])
	}
	c.Certificate = shrink.NewCertificate(k, n, m[3] == "fresh")
	if want := c.Certificate.String(); v != want {
		return fmt.Errorf("the counts and the interval do not belong together; write %q", want)
	}
	return nil
}

var keyForm = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func knownField(key string) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}

// Text returns c as the text of its file. Parse reads it back to an equal case if c was tidy, that
// is: names sorted, one-line headers, no control characters; what is not tidy is made so. It is an
// error if the plan is empty, not legal or has no text form, or the signature has none.
func (c *Case) Text() ([]byte, error) {
	t := c.tidy()
	if back, err := model.ParseSignature(t.Signature.String()); err != nil || back != t.Signature {
		return nil, fmt.Errorf("write case: signature %q does not read back", t.Signature)
	}
	plan, err := planText(t.Plan)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString(firstLine + "\n")
	for _, f := range fields {
		if v := f.get(t); v != "" || f.empty {
			writeHeader(&b, f.key, v)
		}
	}
	for _, h := range t.Extra {
		if _, known := knownField(h.Key); known || !keyForm.MatchString(h.Key) {
			return nil, fmt.Errorf("write case: header %q is not free to use", h.Key)
		}
		writeHeader(&b, h.Key, h.Value)
	}
	b.WriteString("\n" + plan)
	if len(t.Excerpt) > 0 {
		b.WriteByte('\n')
	}
	for _, l := range t.Excerpt {
		b.WriteString(strings.TrimRight(excerptMark+" "+l, " ") + "\n")
	}
	return []byte(b.String()), nil
}

func writeHeader(b *strings.Builder, key, value string) {
	b.WriteString(strings.TrimRight("# "+key+": "+value, " ") + "\n")
}

func planText(p model.Plan) (string, error) {
	if len(p.Steps) == 0 {
		return "", errors.New("write case: the plan has no steps")
	}
	if pr := p.Check(); pr != nil {
		return "", fmt.Errorf("write case: %w", pr)
	}
	out := plantext.Print(p)
	back, err := plantext.Parse(out, nil)
	if err != nil {
		return "", fmt.Errorf("write case: the plan does not read back: %w", err)
	}
	if plantext.Print(back) != out || len(back.Steps) != len(p.Steps) {
		return "", errors.New("write case: the plan does not read back to itself")
	}
	return out, nil
}

// tidy returns a copy of c as Parse would give it.
func (c *Case) tidy() *Case {
	t := *c
	t.Bugs = tidyBugs(c.Bugs)
	if flags, err := model.ParseFlags(c.Flags); err == nil {
		t.Flags = flags.String()
	}
	for _, at := range []*string{&t.Promise, &t.Found, &t.Build, &t.Profile, &t.Flags, &t.Reference, &t.Shrunk} {
		*at = oneLine(*at)
	}
	t.Extra = nil
	for _, h := range c.Extra {
		t.Extra = append(t.Extra, Header{h.Key, oneLine(h.Value)})
	}
	if c.Certificate.Runs > 0 {
		t.Certificate = shrink.NewCertificate(c.Certificate.Failures, c.Certificate.Runs, c.Certificate.Fresh)
	}
	t.Plan = c.Plan.Normalize()
	t.Excerpt = nil
	for _, l := range c.Excerpt {
		for part := range strings.SplitSeq(l, "\n") {
			t.Excerpt = append(t.Excerpt, strings.TrimRight(printable(part), " \t"))
		}
	}
	return &t
}

func tidyBugs(names []string) []string {
	var out []string
	for _, n := range names {
		if n = oneLine(n); n != "" {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func oneLine(s string) string { return strings.TrimSpace(printable(strings.ReplaceAll(s, "\t", " "))) }

// printable replaces control characters, which would break lines, and bytes that are no text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}
