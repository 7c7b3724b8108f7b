package model

import (
	"strconv"
	"strings"
)

// LogLine is a runner log line taken apart: the text, then key=value pairs.
type LogLine struct {
	Text   string
	Fields map[string]string
}

// ParseLogLine takes apart a line like `created box id=x name=y`. Values may be quoted. A word
// before the first pair belongs to the text.
func ParseLogLine(line string) LogLine {
	out := LogLine{Fields: map[string]string{}}
	rest, inText := line, true
	var text []string
	for rest = strings.TrimLeft(rest, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		word, after := cutWord(rest)
		key, value, pair := strings.Cut(word, "=")
		if pair && key != "" && !strings.ContainsAny(key, `"`) {
			if q, err := strconv.Unquote(value); err == nil {
				value = q
			}
			out.Fields[key], inText = value, false
		} else if inText {
			text = append(text, word)
		}
		rest = after
	}
	out.Text = strings.Join(text, " ")
	return out
}

// cutWord splits off the first word; a quoted part belongs to its word, spaces and all.
func cutWord(s string) (word, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ' ' && !quoted:
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// Sighting is what one log line proves.
type Sighting struct {
	BoxID  string
	ExecID string
	What   string // one of the Saw constants
	Exit   *int   // of SawExecEnd, where the line tells it
}

// What a runner's log line can prove.
const (
	SawCreate  = "created"   // the box was made
	SawJob     = "job begun" // a job of the type in JobType began
	SawDone    = "job done"
	SawFailed  = "job failed"
	SawExec    = "exec started"
	SawExecEnd = "exec finished"
)

// Sight reads what a runner's log line proves, and the job type where it is about a job. ok is
// false for lines that prove nothing.
func Sight(message string) (s Sighting, jobType string, ok bool) {
	l := ParseLogLine(message)
	switch {
	case l.Text == "created box":
		return Sighting{BoxID: l.Fields["name"], What: SawCreate}, "", l.Fields["name"] != ""
	case l.Text == "Executing job":
		s.What = SawJob
	case l.Text == "Job completed successfully":
		s.What = SawDone
	case l.Text == "Job failed":
		s.What = SawFailed
	case l.Text == "exec started":
		return Sighting{BoxID: l.Fields["box_id"], ExecID: l.Fields["execution_id"], What: SawExec}, "", l.Fields["execution_id"] != ""
	case l.Text == "exec finished":
		s = Sighting{BoxID: l.Fields["box_id"], ExecID: l.Fields["execution_id"], What: SawExecEnd}
		if n, err := strconv.Atoi(l.Fields["exit_code"]); err == nil {
			s.Exit = &n
		}
		return s, "", s.ExecID != ""
	default:
		return s, "", false
	}
	s.BoxID = l.Fields["resource_id"]
	return s, l.Fields["job_type"], s.BoxID != ""
}
