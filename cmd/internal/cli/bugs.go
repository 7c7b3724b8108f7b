package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/model/plantext"
	"chaos/stack/embedded/bugs"
)

// bugView is a seeded bug as bugs --json prints it.
type bugView struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	Reference string `json:"reference"`
	Where     string `json:"where"`
	Mechanism string `json:"mechanism"`
	Promise   string `json:"promise"`
	Contract  string `json:"contract,omitempty"` // flags under which it shows
	Case      string `json:"case,omitempty"`     // of the regression suite: the shortest that is known to show it
	Steps     int    `json:"steps,omitempty"`
	Plan      string `json:"plan,omitempty"`
	Fails     string `json:"fails,omitempty"` // how often it failed when the case was made
}

func (a *app) bugsCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "bugs", Short: "List the seeded bugs of the embedded stack", Args: noCommand,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				views := []bugView{}
				for _, b := range bugs.All() {
					v, err := view(b)
					if err != nil {
						return err
					}
					views = append(views, v)
				}
				return writeJSON(a.out, views)
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, b := range bugs.All() {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", b.ID, b.Where, b.Reference, b.Title)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of objects")
	show := &cobra.Command{
		Use: "show ID", Short: "Explain one seeded bug", Args: argCount(1, 1, "the name of one seeded bug"),
		RunE: func(_ *cobra.Command, args []string) error {
			b, ok := bugs.Get(bugs.ID(args[0]))
			if !ok {
				_, err := bugs.Parse(args[0])
				return usagef("chaos bugs show: %v", err)
			}
			fmt.Fprintf(a.out, "%s: %s\n  reference  %s\n  in         %s\n  mechanism  %s\n  promise    %s\n", b.ID, b.Title, b.Reference, b.Where, b.Mechanism, b.Promise)
			if b.Contract != "" {
				fmt.Fprintf(a.out, "  only with  --contract %s, which run and prove then choose by themselves\n", b.Contract)
			}
			if b.Needs != "" {
				fmt.Fprintf(a.out, "  only with  %s\n", needs(b))
			}
			fmt.Fprintf(a.out, "  find it    %s\n", command("run", "--bug", string(b.ID), "--duration", "1m"))
			return a.shortest(b)
		},
	}
	cmd.AddCommand(show)
	return cmd
}

// shortest prints the shortest plan that is known to show b.
func (a *app) shortest(b bugs.Bug) error {
	c, err := corpus.Known(string(b.ID), actions.Vocabulary{})
	if err != nil || c == nil {
		return err
	}
	fmt.Fprintf(a.out, "  breaks     %s\n  shortest   %s; it %s\n\n", c.Signature, report.Count(len(c.Plan.Steps), "step"), c.Certificate)
	report.Plan(a.out, c.Plan, "      ")
	return nil
}

func view(b bugs.Bug) (bugView, error) {
	v := bugView{ID: string(b.ID), Title: b.Title, Reference: b.Reference, Where: b.Where, Mechanism: b.Mechanism, Promise: b.Promise, Contract: b.Contract}
	c, err := corpus.Known(v.ID, actions.Vocabulary{})
	if c != nil {
		v.Case, v.Steps, v.Plan, v.Fails = c.Name, len(c.Plan.Steps), plantext.Print(c.Plan), c.Certificate.String()
	}
	return v, err
}

func writeJSON(w interface{ Write([]byte) (int, error) }, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
