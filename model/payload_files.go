package model

import (
	"fmt"
	"regexp"
	"strings"
)

// This file holds what payloads do with the files, the environment and the past of their box.

// Home is the working directory of execs with files. A box keeps it when it is stopped, and a box
// without a root of its own looks it up among its own directories; so the scripts name their files
// relative to it.
const Home = "/root"

// Files are the files of a box that payloads write and read.
var Files = []string{"f1", "f2"}

// fileLines is how many numbered lines a file holds: more than one block of most file systems, so
// that a file that was kept in part is told from a whole one.
const fileLines = 200

// Variables that an exec with Env asks for, each with its token as value: EnvName, and one that
// begins with ownEnv and that no other exec asks for.
const (
	EnvName = "CHAOS_TOKEN"
	ownEnv  = "CHAOS_ENV_"
)

// Vars returns the variables that the exec asks for, nil if none.
func (p Payload) Vars() map[string]string {
	if !p.Env {
		return nil
	}
	return map[string]string{EnvName: p.Token, OwnEnvName(p.Token): p.Token}
}

// OwnEnvName returns the name of the variable that only the exec with token asks for.
func OwnEnvName(token string) string {
	return ownEnv + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, token)
}

// WorkDir returns the working directory to ask for, "" for the one that the box gives.
func (p Payload) WorkDir() string {
	if p.Dir == "" && (p.Write != "" || p.Read != "") {
		return Home
	}
	return p.Dir
}

// childVar is a variable of the child that an exec with Child leaves behind, which it is found by; its
// value is the token.
const childVar = "CHAOS_CHILD"

// What an exec tells about its box, by the word that the line has after the token. Only the box knows
// it, so it is taken from the output before the rest of that is compared.
const (
	TellEnv   = "env"   // how many variables of execs there are, and each as NAME=value
	TellWrite = "wrote" // TellOK or TellFailed
	TellRead  = "read"  // FileAbsent, or what FileValue returns for the exec that wrote it
	TellAlive = "alive" // how many children that execs left behind are there, and the token of each
)

// Values of what is told.
const (
	TellOK      = "ok"
	TellFailed  = "failed"
	FileAbsent  = "absent"
	FileDamaged = "damaged" // instead of the token, when the file does not begin with one
)

// telling is one line that tells something.
type telling struct {
	kind, prefix string
	valid        *regexp.Regexp // of the value
	want         string         // what it tells in a box where nothing is wrong and nobody else was
}

var (
	validEnv   = regexp.MustCompile(`^[0-9]+( CHAOS_[A-Za-z0-9_]+=[A-Za-z0-9.-]*)*$`)
	validWrite = regexp.MustCompile(`^(ok|failed)$`)
	validRead  = regexp.MustCompile(`^(absent|[A-Za-z0-9.-]+( [0-9]+){4})$`)
	validAlive = regexp.MustCompile(`^[0-9]+( [A-Za-z0-9.-]+)*$`)
)

// tellings returns the lines that the payload tells something in, in order.
func (p Payload) tellings() []telling {
	var out []telling
	if p.Env {
		out = append(out, telling{TellEnv, p.Token + " env ", validEnv, fmt.Sprintf("2 %s=%s %s=%s", OwnEnvName(p.Token), p.Token, EnvName, p.Token)})
	}
	if p.Write != "" {
		out = append(out, telling{TellWrite, p.Token + " wrote " + p.Write + " ", validWrite, TellOK})
	}
	if p.Read != "" {
		out = append(out, telling{TellRead, p.Token + " read " + p.Read + " ", validRead, FileAbsent},
			telling{TellAlive, p.Token + " alive ", validAlive, "0"})
	}
	return out
}

// Talks reports whether the payload tells anything about its box.
func (p Payload) Talks() bool { return len(p.tellings()) > 0 }

// Told is what an exec told, by kind.
type Told map[string]Tell

// Tell is the value of one line, and where the line ends in the output.
type Tell struct {
	Value string
	End   int
}

// Tells returns what out, the beginning of the payload's stdout or all of it, tells. A line that is
// torn or not of the right form tells nothing.
func (p Payload) Tells(out []byte) Told {
	told := Told{}
	for _, t := range p.tellings() {
		end := 0
		for line := range strings.Lines(string(out)) {
			end += len(line)
			value, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), t.prefix)
			if ok && strings.HasSuffix(line, "\n") && t.valid.MatchString(value) {
				told[t.kind] = Tell{value, end}
				break
			}
		}
	}
	return told
}

// tellLines returns the lines of all tellings. What was not told is as it should be.
func (p Payload) tellLines(told Told) []string {
	var out []string
	for _, t := range p.tellings() {
		value := t.want
		if x, ok := told[t.kind]; ok {
			value = x.Value
		}
		out = append(out, t.prefix+value)
	}
	return out
}

// Words returns the parts of what is told by TellEnv or TellAlive.
func (t Tell) Words() []string {
	if f := strings.Fields(t.Value); len(f) > 0 {
		return f[1:]
	}
	return nil
}

// FileValue is what a read of file tells when it holds what the exec with token wrote: the token, the
// number of the file, the hash of the first line, how many lines follow from it, and how many there are.
func FileValue(token, file string) string {
	stream := fileStream(file)
	first := nextHash(Payload{Token: token}.seed(stream), 1)
	return fmt.Sprintf("%s %c %d %d %d", token, stream, first, fileLines, fileLines)
}

// fileStream is the name that the numbered lines of a file have in place of that of a stream.
func fileStream(file string) byte { return file[len(file)-1] }

// fileProgram is the awk program that makes the value of a read of a file. It reads the file once, so
// that it tells of one content also while another exec writes.
var fileProgram = fmt.Sprintf(`NR==1{t=$1;s=$2;h=f=($4~/^[0-9]+$/&&length($4)==6)?$4+0:0}`+
	`NR>1{h=(h*31+NR*7)%%%d}`+
	`$0==sprintf("%%s %%s %%06d %%06d",t,s,NR,h){n++}`+
	`END{if(t!~/^[A-Za-z0-9.-]+$/)t="%s";if(s!~/^[0-9]$/)s=0;print t,s,f+0,n+0,NR}`, hashMod, FileDamaged)

// tellScript returns the commands that print the lines of all tellings, each on a line of its own.
func (p Payload) tellScript() string {
	var out []string
	if p.Env {
		out = append(out, fmt.Sprintf(`set -- $(env | grep '^CHAOS_[ET]' | sort); echo "%s env $#" "$@"`, p.Token))
	}
	if p.Write != "" {
		stream := fileStream(p.Write)
		lines, _ := p.emitOne(stream, 1, fileLines, p.seed(stream))
		// A rename replaces the file at once, for everybody who reads at the same time. The content is not
		// forced to the disk: the stop of a box is an orderly one and must keep it all the same, and a
		// command that waits for a slow disk cannot be killed.
		name := "chaos-" + p.Write
		part := name + "." + p.Token
		out = append(out, fmt.Sprintf(`{ %s >%s && mv %s %s; } 2>/dev/null && w=ok || w=failed; echo "%s wrote %s $w"`,
			lines, part, part, name, p.Token, p.Write))
	}
	if p.Read != "" {
		name := "chaos-" + p.Read
		out = append(out, fmt.Sprintf(`if [ -e %s ]; then r=$(awk '%s' %s 2>/dev/null); else r=%s; fi; echo "%s read %s ${r:-%s 0 0 0 0}"`,
			name, fileProgram, name, FileAbsent, p.Token, p.Read, FileDamaged),
			fmt.Sprintf(`set -- $(cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | sed -n 's/^%s=//p' | sort -u); echo "%s alive $#" "$@"`, childVar, p.Token))
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, "\n") + "\n"
}
