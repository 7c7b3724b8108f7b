// Package cli is the command line: one file a subcommand. It is the only place that reads flags and
// the environment, prints, and wires the other packages together.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"chaos/cmd/internal/campaign"
	"chaos/stack/live"
)

// Exit codes.
const (
	ExitOK           = 0 // nothing found
	ExitViolation    = 1 // a violation found, or a replayed case still fails
	ExitUsage        = 2 // a mistake in flags or input
	ExitBroken       = 3 // the stack or the harness is broken
	ExitInconclusive = 4 // nothing can be said
)

// exit is an error that only carries an exit code; everything worth saying has been printed.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usage is a mistake of the caller: one line, exit 2.
type usage struct{ text string }

func (u *usage) Error() string { return u.text }

func usagef(format string, args ...any) error { return &usage{fmt.Sprintf(format, args...)} }

// app is what subcommands share.
type app struct {
	out, err *guard
	line     *statusLine
	stack    atomic.Pointer[openStack] // the stack that is worked on, nil = none
}

func newApp(stdout, stderr io.Writer) *app {
	line := newStatusLine(stderr)
	return &app{out: &guard{w: stdout, line: line}, err: &guard{w: stderr, line: line}, line: line}
}

// Main runs the program and returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	// The HTTP library logs what it makes of servers that misbehave, in the middle of everything.
	log.SetOutput(io.Discard)
	a := newApp(stdout, stderr)
	ctx, stop := a.interruptible()
	defer stop()
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	code := a.code(root.ExecuteContext(ctx))
	// Whoever reads the output must not take a part of it for all.
	if err := a.out.close(); err != nil && code == ExitOK {
		a.complain(fmt.Errorf("write stdout: %w", err))
		code = ExitBroken
	}
	return code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "chaos", Short: "Find the concurrency bugs in stacks that hand out sandboxes over an API",
		Long: `chaos draws random plans (a few clients creating, running, stopping, removing boxes at the same
time), performs them against a stack, judges everything that came back, shrinks every failure to a
few lines, saves it, and replays it for ever.

Exit codes: 0 nothing found, 1 violation found or a replayed case still fails, 2 usage or bad input,
3 stack or harness broken, 4 inconclusive, also when Ctrl-C came before anything was found. A second
Ctrl-C quits at once, with 130.`,
		Version:       version(),
		SilenceErrors: true, SilenceUsage: true, Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("chaos {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(helpCmd(root))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s: %s; see %s --help", cmd.CommandPath(), flagMistake(err), cmd.CommandPath())
	})
	root.AddCommand(a.runCmd(), a.replayCmd(), a.shrinkCmd(), a.whyCmd(), a.tuneCmd(), a.judgeCmd(), a.reportCmd(), a.serveCmd(), a.corpusCmd(), a.bugsCmd(), a.proveCmd(), a.twoSidedCmd(),
		a.stackCmd(), a.actionsCmd(), a.faultsCmd(), a.invariantsCmd(), a.exportCmd(), a.manCmd())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" { // cobra's own says nothing about a shell it does not know
			c.Args, c.RunE = noCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// flagMistake words an error of parsing flags. -kSECRET is a flag -k to the parser, which would repeat
// all of it.
func flagMistake(err error) string {
	var unknown *pflag.NotExistError
	var syntax *pflag.InvalidSyntaxError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedShortnames()) > 1 {
		return fmt.Sprintf("unknown shorthand flag: %q in -%s…", unknown.GetSpecifiedName(), unknown.GetSpecifiedName())
	}
	if errors.As(err, &syntax) {
		return "bad flag syntax; a flag is --name or --name=value"
	}
	return err.Error()
}

// helpCmd is cobra's help command, except that an unknown name is a mistake.
func helpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil && len(rest) > 0 {
				err = noCommand(cmd, rest)
			}
			if err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// noCommand is the argument check of commands that only have subcommands.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return usagef("%s: no command is called %q; there are: %s", cmd.CommandPath(), args[0], strings.Join(names, " "))
}

// argCount checks the number of arguments; what names them in the message.
func argCount(low, high int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= low && (high < 0 || len(args) <= high) {
			return nil
		}
		if low == 0 && high == 0 {
			return usagef("%s: takes no argument, but %q was given", cmd.CommandPath(), args[0])
		}
		return usagef("%s: wants %s; see %s --help", cmd.CommandPath(), what, cmd.CommandPath())
	}
}

// code turns the error of a command into an exit code and prints it on one line.
func (a *app) code(err error) int {
	var e exit
	var u *usage
	var broken *campaign.BrokenError
	var start *startError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &e):
		return int(e)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.err, "chaos: interrupted")
		return ExitInconclusive
	case errors.As(err, &start), errors.As(err, &broken):
		a.complain(err)
		return ExitBroken
	case errors.As(err, &u), live.IsConfig(err), errors.Is(err, os.ErrPermission), errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EROFS):
		a.complain(err)
		return ExitUsage
	}
	a.complain(err)
	return ExitBroken
}

// complain prints err on one line that says which program it is from.
func (a *app) complain(err error) {
	text := oneLine(err)
	if !strings.HasPrefix(text, "chaos ") && !strings.HasPrefix(text, "chaos:") {
		text = "chaos: " + text
	}
	fmt.Fprintln(a.err, text)
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
