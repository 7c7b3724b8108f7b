package engine_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"chaos/model"
)

// fakeHome is what a fake box keeps, and what lives in it until it stops.
type fakeHome struct {
	files map[string]string // the token of the exec that wrote it, by file
	kids  map[string]bool   // children that execs left behind, by token
}

var (
	envLine   = regexp.MustCompile(`^set -- \$\(env \| .*echo "(\S+ env) \$#" "\$@"$`)
	writeLine = regexp.MustCompile(`^\{ awk .* >chaos-(f\d)\.(\S+) && .*; echo "(.* wrote f\d) \$w"$`)
	readLine  = regexp.MustCompile(`^if \[ -e chaos-(f\d) \]; .*echo "(\S+ read f\d) \$\{r`)
	aliveLine = regexp.MustCompile(`^set -- \$\(cat /proc/.*echo "(\S+ alive) \$#" "\$@"$`)
	childLine = regexp.MustCompile(`^CHAOS_CHILD=(\S+) sleep 60 &$`)
)

// home does what a command about the box's files, variables and children does; false if it is none.
func (e *fakeExec) home(line string) bool {
	if m := envLine.FindStringSubmatch(line); m != nil {
		var vars []string
		for k, v := range e.env {
			vars = append(vars, k+"="+v)
		}
		e.emit(1, counted(m[1], vars))
		return true
	}
	e.f.mu.Lock()
	out, ok := e.box.fakeHome.command(line)
	e.f.mu.Unlock()
	if out != "" {
		e.emit(1, out)
	}
	return ok
}

func (h *fakeHome) command(line string) (out string, ok bool) {
	if m := writeLine.FindStringSubmatch(line); m != nil {
		h.files[m[1]] = m[2]
		return m[3] + " ok\n", true
	}
	if m := readLine.FindStringSubmatch(line); m != nil {
		value := model.FileAbsent
		if token := h.files[m[1]]; token != "" {
			value = model.FileValue(token, m[1])
		}
		return m[2] + " " + value + "\n", true
	}
	if m := aliveLine.FindStringSubmatch(line); m != nil {
		return counted(m[1], slices.Collect(maps.Keys(h.kids))), true
	}
	if m := childLine.FindStringSubmatch(line); m != nil {
		h.kids[m[1]] = true
		return "", true
	}
	return "", false
}

// counted is a line with a number and so many words.
func counted(prefix string, words []string) string {
	slices.Sort(words)
	return strings.TrimSpace(fmt.Sprintf("%s %d %s", prefix, len(words), strings.Join(words, " "))) + "\n"
}

func seconds(text string) time.Duration {
	s, _ := strconv.ParseFloat(text, 64)
	return time.Duration(s * float64(time.Second))
}
