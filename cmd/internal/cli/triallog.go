package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"

	"chaos/cmd/internal/campaign"
	"chaos/stack/embedded/bugs"
)

// trialLog is a file of trials, one line of JSON each, so that hours of work survive what ends them.
type trialLog struct {
	mu   sync.Mutex
	file *os.File // nil = none is kept
	old  []campaign.Trial
}

// openTrialLog reads the trials in file, which need not be there yet, and appends to it. "" keeps none.
func openTrialLog(file string) (*trialLog, error) {
	l := &trialLog{}
	if file == "" {
		return l, nil
	}
	data, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return nil, usagef("--log: %v", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var t campaign.Trial
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil || t.Bug == "" {
			return nil, usagef("--log: %s:%d: not a trial; remove the line, or name another file", file, n)
		}
		l.old = append(l.old, t)
	}
	if err := lines.Err(); err != nil {
		return nil, usagef("--log: %s: %v", file, err)
	}
	if l.file, err = os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return nil, usagef("--log: %v", err)
	}
	return l, nil
}

func (l *trialLog) close() {
	if l.file != nil {
		_ = l.file.Close() // every line has been written
	}
}

// has reports whether the trial was done before.
func (l *trialLog) has(bug bugs.ID, seed int64) bool {
	return slices.ContainsFunc(l.old, func(t campaign.Trial) bool { return t.Bug == string(bug) && t.Seed == seed })
}

// trials returns those of before, by bug.
func (l *trialLog) trials(list []bugs.Bug) map[bugs.ID][]campaign.Trial {
	out := map[bugs.ID][]campaign.Trial{}
	for _, t := range l.old {
		if slices.ContainsFunc(list, func(b bugs.Bug) bool { return string(b.ID) == t.Bug }) {
			out[bugs.ID(t.Bug)] = append(out[bugs.ID(t.Bug)], t)
		}
	}
	return out
}

func (l *trialLog) add(t campaign.Trial) error {
	if l.file == nil {
		return nil
	}
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("keep the trial: %w", err)
	}
	return nil
}
