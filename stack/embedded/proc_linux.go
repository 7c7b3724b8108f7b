package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// found is a process that was found by a mark in its environment.
type found struct {
	pid     int
	box     string
	command string
}

// marked returns the live processes that have variable=value in their environment. Processes of
// other users, whose environment cannot be read, are not ours.
func marked(variable, value string) ([]found, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var out []found
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(procFile(pid, "environ"))
		if err != nil {
			continue
		}
		mark, ok := lookup(env, variable)
		if !ok || mark != value || !alive(pid) {
			continue
		}
		p := found{pid: pid, command: commandOf(pid)}
		p.box, _ = lookup(env, boxVar)
		out = append(out, p)
	}
	return out, nil
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// lookup finds a variable in the content of an environ file.
func lookup(env []byte, variable string) (string, bool) {
	prefix := []byte(variable + "=")
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if v, ok := bytes.CutPrefix(entry, prefix); ok {
			return string(v), true
		}
	}
	return "", false
}

// alive reports whether pid is neither gone nor a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return false
	}
	state := stateOf(stat)
	return state != 0 && state != 'Z' && state != 'X'
}

// stateOf is the letter for the state in a stat file, 0 if there is none.
func stateOf(stat []byte) byte {
	_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte{' '})
	if len(rest) == 0 {
		return 0
	}
	return rest[0]
}

func commandOf(pid int) string {
	line, err := os.ReadFile(procFile(pid, "cmdline"))
	if err != nil || len(line) == 0 {
		line, _ = os.ReadFile(procFile(pid, "comm")) // gone by now: no name is needed
	}
	return strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
}

// sweepTimeout bounds how long processes that were killed may take to vanish.
const sweepTimeout = 5 * time.Second

// killMarked kills every process with the mark until there is none, and returns how many there were.
func killMarked(variable, value string) int {
	seen := map[int]bool{}
	deadline := time.Now().Add(sweepTimeout)
	for pause := time.Millisecond; time.Now().Before(deadline); pause = min(2*pause, 50*time.Millisecond) {
		found, err := marked(variable, value)
		if err != nil || len(found) == 0 {
			break
		}
		for _, p := range found {
			seen[p.pid] = true
			_ = syscall.Kill(p.pid, syscall.SIGKILL) // gone already is as well
		}
		time.Sleep(pause)
	}
	return len(seen)
}

// boxDirs returns the ids of the boxes that have a directory below dir, the runner's.
func boxDirs(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "boxes"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list box directories: %w", err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, nil
}

// removeDir removes dir, also where commands in boxes left directories closed to their owner, and
// where the kernel still takes mounts apart.
func removeDir(dir string) error {
	deadline := time.Now().Add(sweepTimeout)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := os.RemoveAll(dir)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("remove directory: %w", err)
		}
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				_ = os.Chmod(path, 0o700) //nolint:gosec // so that it can be emptied
			}
			return nil
		})
		time.Sleep(pause)
	}
}
