package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// journalctlScan is a rawScan by the journalctl command. It asks for the entry at the cursor as
// well (--cursor, not --after-cursor): journalctl skips one entry when the cursor's own is gone.
func journalctlScan(ctx context.Context, dir string, from Cursor, opened func()) ([]Entry, error) {
	args := []string{"--directory=" + dir}
	if from != "" {
		args = append(args, "--cursor="+string(from))
	}
	return runJournalctl(ctx, opened, args...)
}

// runJournalctl returns the entries that journalctl prints when it is asked for those of which.
func runJournalctl(ctx context.Context, opened func(), which ...string) ([]Entry, error) {
	path, err := findJournalctl()
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"--output=json", "--quiet", "--no-pager",
		"--all", // without it a long value reads as null
		"--output-fields=" + strings.Join([]string{fieldMessage, fieldMessageID, fieldPriority, fieldIdentifier, fieldPID}, ","),
	}, which...)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start journalctl: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start journalctl: %w", err)
	}
	entries, parseErr := parseEntries(stdout, opened)
	if parseErr != nil {
		_, _ = io.Copy(io.Discard, stdout) // so that it ends by itself and says what it has to say
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("run journalctl: %w%s", err, detail(stderr.String()))
	}
	return entries, parseErr
}

func findJournalctl() (string, error) {
	path, err := exec.LookPath("journalctl")
	if err != nil {
		return "", fmt.Errorf("find journalctl, the command that reads systemd journals: %w", err)
	}
	return path, nil
}

// parseEntries reads the output of journalctl. When the first line is there, or the end,
// journalctl has opened its files.
func parseEntries(r io.Reader, opened func()) ([]Entry, error) {
	var entries []Entry
	in := bufio.NewReaderSize(r, 1<<16)
	_, err := in.Peek(1)
	opened()
	for err == nil {
		var line []byte
		line, err = in.ReadBytes('\n')
		if len(line) == 0 {
			break
		}
		e, perr := parseEntry(line)
		if perr != nil {
			return nil, fmt.Errorf("read journalctl: %w", perr)
		}
		entries = append(entries, e)
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read journalctl: %w", err)
	}
	return entries, nil
}

// detail makes the end of an error message out of what a program said.
func detail(output string) string {
	const most = 1000
	output = strings.TrimSpace(output)
	if len(output) > most {
		output = "…" + output[len(output)-most:]
	}
	if output == "" {
		return ""
	}
	return ": " + output
}
