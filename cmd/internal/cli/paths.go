package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Long work must not end with a result that cannot be written. The checks below try, before it
// begins, and leave nothing behind.

// usableFolder checks that dir, the value of flag, is a folder that can be written into or can be made.
func usableFolder(flag, dir string) error {
	if dir == "" {
		return usagef("%s is empty; name a folder", flag)
	}
	at := filepath.Clean(dir)
	st, err := os.Stat(at)
	for errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
		at = filepath.Dir(at)
		st, err = os.Stat(at)
	}
	if err == nil && !st.IsDir() {
		return usagef("%s %s: %s is a file; name a folder", flag, dir, at)
	}
	if err == nil {
		err = probe(at)
	}
	if err != nil {
		return usagef("%s %s cannot be written into (%v); name another folder", flag, dir, cause(err))
	}
	return nil
}

// usableFile checks that path, the value of flag, is a file that can be written or can be made.
func usableFile(flag, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		return f.Close()
	}
	dir := filepath.Dir(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return usagef("%s %s: there is no folder %s; make it first", flag, path, dir)
		}
		err = probe(dir)
	}
	if err != nil {
		return usagef("%s %s cannot be written (%v); name another file", flag, path, cause(err))
	}
	return nil
}

// probe tries whether something can be made in dir.
func probe(dir string) error {
	made, err := os.MkdirTemp(dir, ".chaos-")
	if err != nil {
		return err
	}
	return os.Remove(made)
}

// cause is what the system said, without the path, which may be one of a probe.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
