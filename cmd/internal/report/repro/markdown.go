package repro

import (
	"fmt"
	"strings"

	"chaos/corpus"
	"chaos/model/plantext"
)

// maxLog is how many lines of the first failing run stand in an issue.
const maxLog = 30

// Markdown returns the text of an issue about c. source is where the promise is written, "" if that is not
// known; replay is the command that replays the case. why is why there is no program of it, nil if there is one.
func Markdown(c *corpus.Case, source, replay string, why error) string {
	var b strings.Builder
	promise := strings.TrimSuffix(c.Promise, ".")
	fmt.Fprintf(&b, "# %s\n\n## What happens\n\n", c.Signature)
	if seen := told(c); seen != "" {
		fmt.Fprintf(&b, "%s\n\n", fence(seen))
	}
	fmt.Fprintf(&b, "(promise broken · by which action · in which state of the box · how: `%s`)\n\n## What is promised\n\n> %s.\n\n", c.Signature, promise)
	if source != "" {
		fmt.Fprintf(&b, "Source: %s\n\n", source)
	}
	if c.Reference != "" {
		fmt.Fprintf(&b, "See also: %s\n\n", c.Reference)
	}
	fmt.Fprintf(&b, "## Smallest plan\n\nEach letter is a client of its own; clients do not wait for each other except for what they name.\n\n%s\n\n", fence(plantext.Print(c.Plan)))
	rate := "not measured"
	if c.Certificate.Runs > 0 {
		rate = c.Certificate.String()
	}
	fmt.Fprintf(&b, "Rate: %s\n\nSeen on: %s (%s)\n\n", rate, c.Build, c.Found)
	if lines := c.Excerpt; len(lines) > 0 {
		more := ""
		if len(lines) > maxLog {
			more = fmt.Sprintf("\n… %d lines more", len(lines)-maxLog)
			lines = lines[:maxLog]
		}
		fmt.Fprintf(&b, "## Log of the first run that failed\n\n%s\n\n", fence(strings.Join(lines, "\n")+more))
	}
	fmt.Fprintf(&b, "## How to reproduce\n\nWith chaos:\n\n%s\n\n", fence(replay))
	if why != nil {
		fmt.Fprintf(&b, "Without chaos: not possible; %s.\n", strings.TrimSuffix(why.Error(), "."))
		return b.String()
	}
	fmt.Fprintf(&b, "Without chaos, by a script that `chaos export %s --as sh --out repro.sh` writes (also `--as go` and `--as pytest`):\n\n%s\n", c.Name,
		fence("BOXLITE_URL=http://127.0.0.1:3000/api BOXLITE_API_KEY=… bash repro.sh"))
	return b.String()
}

// told is what the case says happened: the last line of its excerpt.
func told(c *corpus.Case) string {
	if n := len(c.Excerpt); n > 0 {
		return c.Excerpt[n-1]
	}
	return ""
}

// fence puts text into a code block that it cannot leave.
func fence(text string) string {
	mark := "```"
	for strings.Contains(text, mark) {
		mark += "`"
	}
	return mark + "\n" + strings.TrimRight(text, "\n") + "\n" + mark
}
