package embedded

import (
	"fmt"
	"os"
	"syscall"
)

// A journal that finds no room drops lines without a word, and boxes fail in ways of their own. So a
// stack does not start without room, and what its journal lacks proves nothing once there is none.
const (
	roomToStart = 64 << 20
	roomToJudge = 16 << 20
)

// freeSpace returns the bytes that may still be written below dir.
func freeSpace(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// checkRoom reports that dir, "" for the system's place for temporary files, is too full for a stack.
func checkRoom(dir string) error {
	if dir == "" {
		dir = os.TempDir()
	}
	free, err := freeSpace(dir)
	if err != nil {
		return fmt.Errorf("look for room: %w", err)
	}
	if free < roomToStart {
		return fmt.Errorf("%s has %d KiB of free space, a stack needs %d MiB; make room or set TMPDIR", dir, free>>10, roomToStart>>20)
	}
	return nil
}

// cramped reports whether the stack's directory has too little room for its journal to be whole.
func (s *Stack) cramped() bool {
	free, err := freeSpace(s.Dir())
	return err == nil && free < roomToJudge
}
