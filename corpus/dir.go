package corpus

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"chaos/model"
)

// Load reads the case in the file at path, which must be a regular one of at most MaxSize bytes. See
// Parse for vocab. All errors are of type *Error and wrap what the system said, if anything.
func Load(path string, vocab model.Vocabulary) (*Case, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := Parse(path, data, vocab)
	if err != nil {
		return nil, err
	}
	c.Name = strings.TrimSuffix(filepath.Base(path), Ext)
	return c, nil
}

// ReadFile returns the bytes of the case file at path. Errors are those of Load.
func ReadFile(path string) ([]byte, error) { return ReadRegular(path, "case", MaxSize) }

// ReadRegular returns the bytes of the file at path, which must be a regular one of at most most bytes:
// it does not wait for a pipe or read a device for ever. what is what it should be, for the errors,
// which are all of type *Error.
func ReadRegular(path, what string, most int) ([]byte, error) {
	fail := func(err error, format string, args ...any) error {
		return &Error{File: path, Text: fmt.Sprintf(format, args...), Err: err}
	}
	// Looked at before it is opened: opening a pipe waits for whoever writes into it.
	st, err := os.Stat(path)
	switch {
	case err != nil && isLink(path):
		return nil, fail(err, "it is a link to a file that cannot be read: %v", bare(err))
	case err != nil:
		return nil, fail(err, "%v", bare(err))
	case st.IsDir():
		return nil, fail(nil, "is a directory")
	case !st.Mode().IsRegular():
		return nil, fail(nil, "not a %s: it is no regular file", what)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fail(err, "%v", bare(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	switch {
	case err != nil:
		return nil, fail(err, "%v", bare(err))
	case len(data) > most:
		return nil, fail(nil, "not a %s: it is larger than %d KiB", what, most>>10)
	}
	return data, nil
}

func isLink(path string) bool {
	st, err := os.Lstat(path)
	return err == nil && st.Mode()&fs.ModeSymlink != 0
}

// bare is what the system said, without the path.
func bare(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// LoadDir reads every case in dir, sorted by name. Files that cannot be read are reported in broken,
// each with its name, and do not keep the others from loading. A directory that does not exist is
// empty. The last error is about the directory itself.
func LoadDir(dir string, vocab model.Vocabulary) (cases []*Case, broken []error, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load cases: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		if filepath.Ext(name) != Ext || strings.HasPrefix(name, ".") || e.IsDir() {
			continue
		}
		c, err := Load(filepath.Join(dir, name), vocab)
		if err != nil {
			broken = append(broken, err)
			continue
		}
		cases = append(cases, c)
	}
	return cases, broken, nil
}

// Save writes c into dir, which is made if need be, and returns the path. The file is complete on
// disk or not there at all. A case keeps the name it has; a new one is named after its finding. A
// file about another finding, or one that cannot be read, is never overwritten: c then gets another
// name. Save sets c.Name.
func (c *Case) Save(dir string) (path string, err error) {
	data, err := c.Text()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", fmt.Errorf("save case: %w", err)
	}
	tmp, err := writeTemp(dir, data)
	if err != nil {
		return "", fmt.Errorf("save case: %w", err)
	}
	defer func() { err = errors.Join(err, removeIfThere(tmp)) }()
	name := c.Name
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		name = c.defaultName()
	}
	for n := 1; ; n++ {
		try := name
		if n > 1 {
			try = fmt.Sprintf("%s-%d", name, n)
		}
		path = filepath.Join(dir, try+Ext)
		placed, err := c.place(tmp, path)
		if err != nil {
			return "", fmt.Errorf("save case: %w", err)
		}
		if placed {
			c.Name = try
			return path, syncDir(dir)
		}
	}
}

// place moves tmp to path unless something else is there. Linking fails on a file that exists, so
// two processes cannot overwrite each other's new cases.
func (c *Case) place(tmp, path string) (bool, error) {
	err := os.Link(tmp, path)
	if err == nil {
		return true, nil
	}
	if _, missing := os.Lstat(path); errors.Is(missing, fs.ErrNotExist) {
		return true, os.Rename(tmp, path) // a file system without links
	}
	old, loadErr := Load(path, nil)
	if loadErr != nil || old.Finding() != c.Finding() {
		return false, nil //nolint:nilerr // unreadable means: not ours to overwrite
	}
	return true, os.Rename(tmp, path)
}

func writeTemp(dir string, data []byte) (string, error) {
	f, err := os.CreateTemp(dir, ".case-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove temporary file: %w", err)
	}
	return nil
}

// syncDir makes the new name in dir survive a crash. File systems that cannot do it are left alone.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	_ = d.Sync()
	return d.Close()
}

// maxSlug bounds the readable part of a file name.
const maxSlug = 60

// defaultName is a readable name that differs for different findings.
func (c *Case) defaultName() string {
	f := c.Finding()
	about := f.Signature.String() + "\n" + f.Bugs
	if f.Contract != "" {
		about += "\n" + f.Contract
	}
	sum := sha256.Sum256([]byte(about))
	return slug(f.Signature.Invariant, f.Signature.Action, f.Signature.Detail) + "-" + hex.EncodeToString(sum[:4])
}

func slug(parts ...string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.Join(parts, "-")) {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			b.WriteRune(r)
		} else if s := b.String(); s != "" && !strings.HasSuffix(s, "-") {
			b.WriteByte('-')
		}
	}
	out := b.String()
	if len(out) > maxSlug {
		out = out[:maxSlug]
	}
	if out = strings.Trim(out, "-"); out == "" {
		return "case"
	}
	return out
}
