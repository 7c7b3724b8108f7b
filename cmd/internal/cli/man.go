package cli

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (a *app) manCmd() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write manual pages, one for each command", Args: argCount(1, 1, "the folder to write to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return usagef("chaos man: %v", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // pages of one version are the same on every day
			if err := doc.GenManTree(root, &doc.GenManHeader{Title: "CHAOS", Section: "1", Source: "chaos " + version()}, args[0]); err != nil {
				return usagef("chaos man: %v", err)
			}
			return nil
		},
	}
}
