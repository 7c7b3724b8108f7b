package sandbox

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// probeLimit bounds one try of Probe.
const probeLimit = 10 * time.Second

// Probe finds the best mode that works for this process on this machine, by starting a box in each
// until one comes up: a kernel may allow the namespaces and refuse the mounts. The text says why
// no better mode works; it is "" for Namespaces.
func Probe() (Mode, string) {
	var reasons []string
	for _, m := range []Mode{Namespaces, UserNamespaces} {
		err := try(m)
		if err == nil {
			return m, strings.Join(reasons, "; ")
		}
		text, _, _ := strings.Cut(err.Error(), "\n")
		reasons = append(reasons, fmt.Sprintf("%v: %s", m, text))
	}
	return Plain, strings.Join(reasons, "; ")
}

func try(m Mode) error {
	dir, err := os.MkdirTemp("", "sandbox-probe-")
	if err != nil {
		return fmt.Errorf("create probe directory: %w", err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	b, err := Start(ctx, Config{Dir: dir, Mode: m})
	if err != nil {
		return err
	}
	return b.Kill()
}
