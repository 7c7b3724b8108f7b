package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// proc is one line of the process table.
type proc struct {
	pid, ppid, session int
	dead               bool // a zombie, or about to be one
}

// processes reads the process table that /proc shows. It is no snapshot: processes come and go
// while it is read.
func processes() ([]proc, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("read process table: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read process table: %w", err)
	}
	var out []proc
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // gone meanwhile
		}
		if p, ok := parseStat(pid, stat); ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// parseStat reads /proc/PID/stat. The command name in it may hold spaces and parentheses.
func parseStat(pid int, stat []byte) (proc, bool) {
	_, rest, ok := strings.Cut(string(stat[max(0, bytes.LastIndexByte(stat, ')')):]), ") ")
	f := strings.Fields(rest) // state ppid pgrp session
	if !ok || len(f) < 4 {
		return proc{}, false
	}
	ppid, err1 := strconv.Atoi(f[1])
	session, err2 := strconv.Atoi(f[3])
	return proc{pid, ppid, session, f[0] == "Z" || f[0] == "X"}, err1 == nil && err2 == nil
}

// withDescendants returns the processes of table that match, and all below them.
func withDescendants(table []proc, match func(proc) bool) []proc {
	children := map[int][]proc{}
	var out []proc
	seen := map[int]bool{}
	for _, p := range table {
		children[p.ppid] = append(children[p.ppid], p)
		if match(p) {
			seen[p.pid] = true
			out = append(out, p)
		}
	}
	for i := 0; i < len(out); i++ {
		for _, c := range children[out[i].pid] {
			if !seen[c.pid] {
				seen[c.pid] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// killSession kills every process of a session and their descendants, the leader first: a shell
// whose command is killed before it goes on to the next one. A process that was killed forks no
// more, so the rounds end when one finds nobody new.
func killSession(leader int) error {
	killed := map[int]bool{}
	for {
		table, err := processes()
		if err != nil {
			return err
		}
		leaderFirst(table, leader)
		fresh := 0
		for _, p := range withDescendants(table, func(p proc) bool { return p.session == leader }) {
			if !p.dead && !killed[p.pid] {
				killed[p.pid] = true
				fresh++
				_ = unix.Kill(p.pid, unix.SIGKILL)
			}
		}
		if fresh == 0 {
			return nil
		}
	}
}

// leaderFirst moves the leader to the front, which it has lost when process ids have begun anew.
func leaderFirst(table []proc, leader int) {
	if i := slices.IndexFunc(table, func(p proc) bool { return p.pid == leader }); i > 0 {
		table[0], table[i] = table[i], table[0]
	}
}

// killDescendants kills all processes below this one, which must be a subreaper, and returns when
// none is left: orphans become its children, so having no child means having no descendant.
func killDescendants() error {
	self := os.Getpid()
	for {
		table, err := processes()
		if err != nil {
			return err
		}
		child := false
		for _, p := range withDescendants(table, func(p proc) bool { return p.ppid == self }) {
			child = child || p.ppid == self
			if !p.dead {
				_ = unix.Kill(p.pid, unix.SIGKILL)
			}
		}
		flags := unix.WNOHANG
		if child {
			flags = 0 // every child that was seen is dead or dying
		}
		for {
			pid, err := unix.Wait4(-1, nil, flags, nil)
			if err == unix.ECHILD {
				return nil
			}
			if err == nil && pid == 0 {
				break
			}
			flags = unix.WNOHANG
		}
	}
}

// sweepLimit bounds killMarked.
const sweepLimit = 10 * time.Second

// killMarked kills every process with mark ("KEY=value") in its environment, for boxes without
// namespaces whose init died too early to do it. A process that was just forked may be missed by
// one look at the table, so two in a row must find nobody.
func killMarked(mark string) error {
	deadline := time.Now().Add(sweepLimit)
	for quiet := 0; quiet < 2; {
		found, err := marked(mark)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			quiet++
			continue
		}
		quiet = 0
		if time.Now().After(deadline) {
			return fmt.Errorf("kill box: processes %v are left", found)
		}
		for _, pid := range found {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill box process %d: %w", pid, err)
			}
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// marked returns the living processes with mark in their environment.
func marked(mark string) ([]int, error) {
	table, err := processes()
	if err != nil {
		return nil, err
	}
	var out []int
	for _, p := range table {
		env, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/environ")
		if err != nil || p.dead {
			continue
		}
		if bytes.Contains(append([]byte{0}, env...), append(append([]byte{0}, mark...), 0)) {
			out = append(out, p.pid)
		}
	}
	return out, nil
}
