package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"chaos/stack"
	"chaos/stack/journal"
)

// journald is the journal as a process.
type journald struct{ *journal.Daemon }

func (d journald) Ended() <-chan struct{}    { return d.Exited() }
func (d journald) Signal(sig syscall.Signal) { _ = syscall.Kill(d.PID(), sig) }

// noteLoss makes the journal say that it may lack a line.
func noteLoss(socket string) error {
	w, err := journal.DialWriter(socket)
	if err != nil {
		return err
	}
	message, fields := journal.LossNote(1)
	return errors.Join(w.Send(4, "", message, fields), w.Close())
}

// flushLimit bounds what is waited for lines that API and runner still have to log.
const flushLimit = 2 * time.Second

// flushLogs has API and runner log what waits in them, so that whoever reads the journal after its mend finds
// it there. One that does not answer has it logged later.
func (k *keeper) flushLogs(ctx context.Context) {
	if log := k.parts[stack.Journal]; !log.isUp() || log.frozen {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	for which, url := range map[stack.Part]string{
		stack.API: fmt.Sprintf("http://%s/api/health?flush=1", k.apiAddr), stack.Runner: fmt.Sprintf("http://%s/?flush=1", k.runnerAddr),
	} {
		if p := k.parts[which]; !p.isUp() || p.frozen {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			continue
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}
}
