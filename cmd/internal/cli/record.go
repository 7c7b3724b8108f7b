package cli

import (
	"os"
	"strings"

	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
)

// The lines of a Markdown file between which the record stands.
const (
	recordBegins = "<!-- record -->"
	recordEnds   = "<!-- end of record -->"
)

// record is a Markdown file with the table of prove in it.
type record struct {
	before, after string
	rows          []string // lines of the table, without its head
}

// readRecord takes the file at path apart.
func readRecord(path string) (*record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("--into: %v", err)
	}
	before, rest, ok := strings.Cut(string(data), recordBegins+"\n")
	table, after, ok2 := strings.Cut(rest, recordEnds+"\n")
	if !ok || !ok2 {
		return nil, usagef("--into: %s has no lines %q and %q; put them where the table belongs", path, recordBegins, recordEnds)
	}
	out := &record{before: before, after: after}
	for line := range strings.SplitSeq(table, "\n") {
		if strings.HasPrefix(line, "| ") {
			out.rows = append(out.rows, line)
		}
	}
	if len(out.rows) > 0 {
		out.rows = out.rows[1:] // the head
	}
	return out, nil
}

// updateRecord puts rows into the table in the file at path, in place of those of the same bugs.
func updateRecord(path string, rows []campaign.Row) error {
	r, err := readRecord(path)
	if err != nil {
		return err
	}
	var table strings.Builder
	report.ProofMarkdown(&table, rows, r.rows)
	if err := os.WriteFile(path, []byte(r.before+recordBegins+"\n"+table.String()+recordEnds+"\n"+r.after), 0o644); err != nil {
		return usagef("--into: %v", err)
	}
	return nil
}
