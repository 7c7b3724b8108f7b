package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// waitConnected returns when the runner has asked the API for work.
func (k *keeper) waitConnected(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		connected, err := k.connected(ctx)
		if connected {
			return nil
		}
		select {
		case <-k.api.ended:
			return fmt.Errorf("api ended at once: %v%s", k.api.exit, k.api.lastWords())
		case <-k.runner.ended:
			return fmt.Errorf("runner ended at once: %v%s", k.runner.exit, k.runner.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("wait for the runner at the API: %w (last: %v)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func (k *keeper) connected(ctx context.Context) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+k.api.addr+"/api/health", nil)
	if err != nil {
		return false, fmt.Errorf("make health request: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, fmt.Errorf("get health: %w", err)
	}
	defer resp.Body.Close()
	var h struct {
		Runner bool `json:"runner"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil {
		return false, fmt.Errorf("read health: %w", err)
	}
	return h.Runner, nil
}
