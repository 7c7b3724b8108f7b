//go:build !unix

package journal

import (
	"errors"
	"fmt"
)

// CreateFileWriter fails: it needs the file locks of Unix.
func CreateFileWriter(path string) (Writer, error) {
	return nil, fmt.Errorf("open log file %s: %w", path, errors.ErrUnsupported)
}
