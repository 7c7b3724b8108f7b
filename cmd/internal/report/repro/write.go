package repro

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"go/format"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	//go:embed runtime.py
	runtimePython string
	//go:embed main.py
	mainPython string
	//go:embed helper.py
	helperPython string
	//go:embed runtime.go.txt
	runtimeGo string
	//go:embed runtime.sh
	runtimeShell string
)

// about is what stands at the top of every file, each line behind mark.
func (p *Program) about(mark, needs string) string {
	lines := []string{"Reproduces: " + p.Signature, "Promised:   " + p.Promise + "."}
	if p.Rate != "" {
		lines = append(lines, "Measured:   "+p.Rate)
	}
	lines = append(lines, "The plan, each letter a client of its own:")
	for _, l := range p.Plan {
		lines = append(lines, "    "+l)
	}
	lines = append(lines, fmt.Sprintf("It is performed at most %d times, until it fails.", p.Rounds), "Needs: "+needs,
		"Target: BOXLITE_URL (without /v1) and BOXLITE_API_KEY"+map[bool]string{true: ", and BOXLITE_OTHER_API_KEY of another organization"}[p.Other]+"; BOXLITE_PREFIX if paths have one.")
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.TrimRight(mark+" "+l, " ") + "\n")
	}
	return b.String()
}

// data is p as JSON that may stand between a pair of quote.
func (p *Program) data(quote string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	_ = e.Encode(p) // strings and numbers
	return strings.ReplaceAll(strings.TrimSpace(b.String()), quote, fmt.Sprintf(`\u%04x`, quote[0]))
}

var notWord = regexp.MustCompile(`[^A-Za-z0-9]+`)

func (p *Program) word() string {
	return strings.Trim(notWord.ReplaceAllString(cmp.Or(p.Case, p.Signature), "_"), "_")
}

// Pytest returns p as a file for pytest.
func (p *Program) Pytest() string {
	return p.about("#", "Python 3.9, pytest") + runtimePython + mainPython + "\n\nPROGRAM = json.loads(r'''" + p.data("'") + "''')\n\n\n" +
		"def test_" + p.word() + "():\n    try:\n        seen = reproduce(PROGRAM)\n    except CannotRun as e:\n        raise AssertionError(\"cannot run: %s\" % e) from None\n    assert not seen, seen\n"
}

// GoTest returns p as a Go test file that stands alone.
func (p *Program) GoTest() (string, error) {
	name := ""
	for part := range strings.SplitSeq(p.word(), "_") {
		if part != "" {
			name += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	text := p.about("//", "Go 1.22; run it with go test -count=1 FILE") + "\npackage repro_test\n" + runtimeGo +
		"\nfunc Test" + name + "(t *testing.T) { reproduce(t, plan) }\n\nconst plan = `" + p.data("`") + "`\n"
	out, err := format.Source([]byte(text))
	return string(out), err
}

// quoted is text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// hasSessions reports whether the plan attaches to anything.
func (p *Program) hasSessions() bool {
	return slices.ContainsFunc(p.Calls, func(c Call) bool { return c.Session != nil })
}

// shellRounds is how many times more often a script performs the plan. Its clients are processes, which start
// less evenly than threads do, so races between two clients are lost more rarely: 9 of 25 in place of 20 of 20.
const shellRounds = 4

// Shell returns p as a bash script.
func (p *Program) Shell() string {
	more := *p
	more.Rounds = min(maxRounds, p.Rounds*shellRounds)
	p = &more
	var b strings.Builder
	needs, pythonCheck, otherCheck := "bash, curl", "", ""
	if p.hasSessions() {
		needs = "bash, curl, python3 (for attach sessions)"
		pythonCheck = "command -v python3 >/dev/null || stop \"python3 is missing; the plan attaches to execs, and that is done in it\"\n"
	}
	if p.Other {
		otherCheck = "[ -n \"${BOXLITE_OTHER_API_KEY:-}\" ] || stop \"set BOXLITE_OTHER_API_KEY to a key of another organization\""
	}
	b.WriteString("#!/usr/bin/env bash\n" + p.about("#", needs))
	b.WriteString("# Exit codes: 0 it did not fail, 1 it failed, 2 it could not run.\n\nset -u\n")
	fmt.Fprintf(&b, "ROUNDS=%d\nBOXES=%s\nPROMISE=%s\ndeclare -A NAMES=(", p.Rounds, quoted(strings.Join(p.Boxes, " ")), quoted(p.Promise))
	for _, c := range p.Calls {
		if c.Op == "create" {
			fmt.Fprintf(&b, "[%s]=%s ", c.Bind, strings.TrimPrefix(c.Name, "@RUN@-"))
		}
	}
	b.WriteString(")\n" + strings.NewReplacer("@PYCHECK@", pythonCheck, "@OTHERCHECK@\n", otherCheck+map[bool]string{true: "\n"}[otherCheck != ""]).Replace(runtimeShell))
	if p.hasSessions() {
		b.WriteString("cat >\"$DIR/helper.py\" <<'END_OF_HELPER'\n" + runtimePython + "\n\nPROGRAM = json.loads(r'''" + p.data("'") + "''')\n" + helperPython + "END_OF_HELPER\n")
	}
	clients := map[string][]Call{}
	for _, c := range p.Calls {
		clients[c.Client] = append(clients[c.Client], c)
	}
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		b.WriteString("\nclient_" + name + "() {\n")
		if slices.ContainsFunc(clients[name], func(c Call) bool { return c.Session != nil }) {
			b.WriteString("  coproc HELPER { exec python3 \"$DIR/helper.py\" serve; }\n")
		}
		for _, c := range clients[name] {
			c.shell(&b)
		}
		b.WriteString("}\n")
	}
	b.WriteString("\nverdict() {\n" + p.shellChecks() + "  :\n}\n\n")
	b.WriteString("for N in $(seq $ROUNDS); do\n  RUN=chaos-repro-$$-$N; R=$DIR/$N; export R; mkdir \"$R\"\n")
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		b.WriteString("  client_" + name + " & \n")
	}
	b.WriteString("  wait\n  [ -n \"$(cat \"$R\"/status.* | grep -v '^000$')\" ] || stop \"no answer from BOXLITE_URL\"\n  verdict\n  clean; rm -rf \"$R\"\ndone\n" +
		"R=; echo \"passed: it did not fail in $ROUNDS runs\"\n")
	return strings.ReplaceAll(b.String(), " & \n", " &\n")
}

// shell writes c as commands of its client.
func (c Call) shell(b *strings.Builder) {
	for _, ref := range c.Wait {
		fmt.Fprintf(b, "  await %s\n", ref)
	}
	if c.Group > 0 {
		fmt.Fprintf(b, "  together %d %s %d\n", c.Group, c.Client, c.Size)
	}
	if c.Gap > 0 {
		fmt.Fprintf(b, "  sleep %s\n", strconv.FormatFloat(c.Gap, 'f', -1, 64))
	}
	if c.Session != nil {
		fmt.Fprintf(b, "  session %d %s %s\n", c.N, c.Box, c.Exec)
		return
	}
	path := strings.NewReplacer("@BOX@", "$(box "+quoted(c.Box)+")", "@EXEC@", "$(ex "+quoted(c.Exec)+")").Replace(c.Path)
	bind, field := quoted(c.Bind), "execution_id"
	if c.Op == "create" {
		field = "box_id"
	}
	fmt.Fprintf(b, "  call %d %s %s %s \"%s\" %s '%s'", c.N, bind, field, c.Method, path, quoted(c.Body), c.Auth)
	if c.Watch != "" {
		fmt.Fprintf(b, " && settle %s %s >/dev/null", c.Box, c.Watch)
	}
	b.WriteString("\n")
}

func words(list []int) string { return strings.Trim(fmt.Sprint(list), "[]") }

// shellChecks returns the commands that look at the answers.
func (p *Program) shellChecks() string {
	var b strings.Builder
	creates := map[string][]string{}
	for _, c := range p.Calls {
		if c.Op == "create" {
			creates[c.Name] = append(creates[c.Name], c.Bind)
		}
		if !c.Judge {
			continue
		}
		what := quoted(strings.TrimSpace(c.Op + " " + cmp.Or(c.Bind, c.Exec, c.Box)))
		switch {
		case p.Check.Kind == "status" && len(p.Check.Want) > 0:
			fmt.Fprintf(&b, "  one_of %d %s '%s'\n", c.N, what, words(p.Check.Want))
		case p.Check.Kind == "status":
			fmt.Fprintf(&b, "  not_one_of %d %s '%s'\n", c.N, what, words(p.Check.Bad))
		case p.Check.Kind == "body":
			fmt.Fprintf(&b, "  true_body %d %s\n", c.N, what)
		case p.Check.Kind == "settled" && c.Expect != "":
			fmt.Fprintf(&b, "  shows %d %s %s\n", c.N, what, c.Expect)
		}
	}
	switch p.Check.Kind {
	case "settled":
		for _, ref := range slices.Sorted(maps.Keys(p.Final)) {
			fmt.Fprintf(&b, "  comes_to %s %s\n", ref, p.Final[ref])
		}
	case "names":
		for _, name := range slices.Sorted(maps.Keys(creates)) {
			for i, one := range creates[name] {
				for _, two := range creates[name][i+1:] {
					fmt.Fprintf(&b, "  apart %s %s\n", one, two)
				}
			}
		}
	case "status", "body":
	default:
		b.WriteString("  sessions\n")
	}
	for _, ref := range p.Boxes {
		if len(p.Check.Gone) > 0 {
			fmt.Fprintf(&b, "  gone %s '%s'\n", ref, words(p.Check.Gone))
		}
	}
	return b.String()
}
