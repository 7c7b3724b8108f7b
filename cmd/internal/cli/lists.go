package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/invariants"
	"chaos/model"
)

func (a *app) actionsCmd() *cobra.Command {
	return &cobra.Command{
		Use: "actions", Short: "List what plans are made of", Args: argCount(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			for _, x := range actions.All() {
				s := x.Spec()
				form := s.Name
				if s.Binds != 0 {
					form = string(s.Binds) + "1 = " + form
				}
				if s.On != 0 {
					form += " " + string(s.On) + "1"
				}
				fmt.Fprintf(a.out, "%s\n    %s\n", form, s.Doc)
				for _, arg := range s.Args {
					fmt.Fprintf(a.out, "      %-7s %s\n", arg.Name+"=", arg.Doc)
				}
			}
			fmt.Fprint(a.out, "every step\n      after=  do not start before this box or exec is there\n      gap=    wait this long before starting\n")
			fmt.Fprint(a.out, "every step, of its messages (run --schedule on)\n")
			for _, arg := range model.ScheduleArgs() {
				fmt.Fprintf(a.out, "      %-14s%s\n", arg.Name+"=", arg.Doc)
			}
			fmt.Fprintf(a.out, "      hold-…=%s holds a message until one of another step about the same box passes, for 100 ms at most\n", model.Meet)
			return nil
		},
	}
}

func (a *app) faultsCmd() *cobra.Command {
	return &cobra.Command{
		Use: "faults", Short: "List what can be broken on purpose, and what each fault excuses", Args: argCount(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			for _, x := range actions.Faults() {
				s := x.Spec()
				fmt.Fprintf(a.out, "%s\n    %s\n    excuses: %s\n", s.Name, s.Doc, s.Excuse)
				for _, arg := range s.Args {
					fmt.Fprintf(a.out, "      %-7s %s\n", arg.Name+"=", arg.Doc)
				}
			}
			return nil
		},
	}
}

func (a *app) invariantsCmd() *cobra.Command {
	return &cobra.Command{
		Use: "invariants", Short: "List the promises that histories are held against", Args: argCount(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			for _, x := range invariants.All() {
				fmt.Fprintf(a.out, "%s\n    %s\n    source: %s\n", x.Name(), x.Promise(), x.Source())
			}
			return nil
		},
	}
}
