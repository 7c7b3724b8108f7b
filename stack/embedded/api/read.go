package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"chaos/stack/embedded/bugs"
)

// runnerSilence is how long after its last poll the runner counts as gone. A poll lasts seconds.
const runnerSilence = 45 * time.Second

// health answers whether the runner is there. With flush=1 what the log has not taken yet is sent first.
func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("flush") == "1" {
		_ = s.log.Sync() // it waits for a moment only
	}
	url, up := s.store.runnerURL(runnerSilence)
	writeJSON(w, http.StatusOK, map[string]any{"status": "ok", "runner": up, "runner_url": url})
	return nil
}

func (s *Server) config(w http.ResponseWriter) error {
	writeJSON(w, http.StatusOK, map[string]any{
		"capabilities": map[string]bool{
			"snapshots_enabled": false, "clone_enabled": false, "export_enabled": false,
			"import_enabled": false, "linux_capabilities_enabled": false,
		},
	})
	return nil
}

func (s *Server) me(w http.ResponseWriter, org string) error {
	var prefix any
	if !s.cfg.serve {
		prefix = org
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"sub": "key:" + org, "principal_type": "api_key", "path_prefix": prefix,
		"scopes": []string{"box:read", "box:write", "box:exec"},
	})
	return nil
}

// metrics counts the boxes of the caller's organization since the stack is there.
func (s *Server) metrics(w http.ResponseWriter, org string) error {
	running := 0
	for _, r := range s.store.list(org) {
		if r.state == started {
			running++
		}
	}
	t := s.store.totalsOf(org)
	if s.cfg.bugs.Has(bugs.RunningCount) {
		running = max(0, t.Created-t.Stopped-t.Failed)
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"boxes_created_total": t.Created, "boxes_failed_total": t.Failed, "boxes_stopped_total": t.Stopped,
		"num_running_boxes":       running,
		"total_commands_executed": t.Execs, "total_exec_errors": t.ExecErrors,
	})
	return nil
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, org, ref string) error {
	row, ok := s.store.find(org, ref)
	switch {
	case !ok && r.Method == http.MethodHead:
		w.WriteHeader(http.StatusNotFound)
	case !ok:
		return boxNotFound(ref)
	case r.Method == http.MethodHead:
		w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(w, http.StatusOK, row.json())
	}
	return nil
}

// list answers every box of the organization, or one page of them when pageSize is given.
func (s *Server) list(w http.ResponseWriter, r *http.Request, org string) error {
	if s.cfg.serve {
		return s.listServe(w, org)
	}
	q := r.URL.Query()
	size, after := 0, uint64(0)
	var err error
	if v := q.Get("pageSize"); v != "" {
		if size, err = strconv.Atoi(v); err != nil || size < 1 || size > 1000 {
			return invalid("pageSize must be a number from 1 to 1000")
		}
	}
	if v := q.Get("pageToken"); v != "" {
		if after, err = parsePage(v); err != nil {
			return invalid("pageToken is not one that this API gave out")
		}
	}
	status := q.Get("status")
	if status != "" && !statuses[status] {
		return invalid("status must be one of configured, running, stopping, stopped, paused, failed, unknown")
	}
	body := struct {
		Boxes []boxJSON `json:"boxes"`
		Next  string    `json:"next_page_token,omitempty"`
	}{Boxes: []boxJSON{}}
	last := uint64(0)
	for _, row := range s.store.list(org) {
		if row.seq <= after || status != "" && row.state.status() != status {
			continue
		}
		if size > 0 && len(body.Boxes) == size {
			body.Next = printPage(last)
			break
		}
		body.Boxes = append(body.Boxes, row.json())
		last = row.seq
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

func printPage(after uint64) string {
	return base64.RawURLEncoding.EncodeToString([]byte("after:" + strconv.FormatUint(after, 10)))
}

func parsePage(token string) (uint64, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return 0, fmt.Errorf("decode page token: %w", err)
	}
	var after uint64
	if _, err := fmt.Sscanf(string(raw), "after:%d", &after); err != nil {
		return 0, fmt.Errorf("read page token: %w", err)
	}
	return after, nil
}
