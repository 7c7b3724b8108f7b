package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"chaos/cmd/internal/report"
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
	MinSteps  int    `json:"min_steps,omitempty"`
	Contract  string `json:"contract,omitempty"` // flags under which it shows
}

func (a *app) bugsCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "bugs", Short: "List the seeded bugs of the embedded stack", Args: noCommand,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				views := []bugView{}
				for _, b := range bugs.All() {
					views = append(views, view(b))
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
			if b.MinSteps > 0 {
				fmt.Fprintf(a.out, "  shortest   %s\n", report.Count(b.MinSteps, "step"))
			}
			if b.Contract != "" {
				fmt.Fprintf(a.out, "  only with  --contract %s, which run and prove then choose by themselves\n", b.Contract)
			}
			fmt.Fprintf(a.out, "  find it    %s\n", command("run", "--bug", string(b.ID), "--duration", "1m"))
			return nil
		},
	}
	cmd.AddCommand(show)
	return cmd
}

func view(b bugs.Bug) bugView {
	return bugView{string(b.ID), b.Title, b.Reference, b.Where, b.Mechanism, b.Promise, b.MinSteps, b.Contract}
}

func writeJSON(w interface{ Write([]byte) (int, error) }, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
