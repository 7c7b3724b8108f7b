package runner

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"strings"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 8 << 20

func (r *Runner) routes() http.Handler {
	const exec = "/v1/boxes/{box}/executions/{exec}"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("flush") == "1" { // what the log has not taken yet is sent first
			_ = r.log.Sync() // it waits for a moment only
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /v1/boxes/{box}/exec":   r.postExec,
		"GET /v1/boxes/{box}/metrics": r.getMetrics,
		"GET " + exec:                 r.getExecution,
		"DELETE " + exec:              r.deleteExecution,
		"GET " + exec + "/attach":     r.attach,
		"POST " + exec + "/signal":    r.postSignal,
		"POST " + exec + "/resize":    r.postResize,
		"/":                           noRoute,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			if err := r.mayServe(req); err != nil {
				r.writeError(w, err)
			} else if err := h(w, req); err != nil {
				r.writeError(w, err)
			}
		})
	}
	return r.recoverPanics(mux)
}

func noRoute(_ http.ResponseWriter, req *http.Request) error {
	return errorf(http.StatusNotFound, "not found: %s %s", req.Method, req.URL.Path)
}

// mayServe refuses callers without the token, and everybody once the runner is about to end.
func (r *Runner) mayServe(req *http.Request) error {
	token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token, _ = strings.CutPrefix(req.Header.Get("X-BoxLite-Authorization"), "Bearer ")
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(r.cfg.Token)) != 1 {
		return errorf(http.StatusUnauthorized, "unauthenticated: missing or wrong runner token")
	}
	if r.working.Err() != nil {
		return errDraining
	}
	return nil
}

// recoverPanics answers 500 instead of cutting the connection, so that a bug of ours is seen as one.
func (r *Runner) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				r.log.Error("panic", zap.Any("value", v), zap.ByteString("stack", debug.Stack()))
				writeJSON(w, http.StatusInternalServerError, map[string]string{"error": "internal error: panic"})
			}
		}()
		next.ServeHTTP(w, req)
	})
}

// decode reads the one JSON value that is the body of a request. Unknown fields are ignored.
func decode(req *http.Request, into any) error {
	dec := json.NewDecoder(io.LimitReader(req.Body, maxBody))
	if err := dec.Decode(into); err != nil {
		return invalidArgument("%v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalidArgument("more than one JSON value in the body")
	}
	return nil
}

func (r *Runner) postExec(w http.ResponseWriter, req *http.Request) error {
	var body execRequest
	if err := decode(req, &body); err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	b, err := r.box(req.PathValue("box"))
	if err != nil {
		return err
	}
	e, err := r.exec(b, body)
	if err != nil {
		return r.execError(err)
	}
	w.Header().Set("Location", "/v1/boxes/"+b.id+"/executions/"+e.id)
	writeJSON(w, http.StatusCreated, map[string]string{"execution_id": e.id})
	return nil
}

func (r *Runner) lookup(req *http.Request) (*execution, error) {
	return r.execution(req.PathValue("box"), req.PathValue("exec"))
}

func (r *Runner) getExecution(w http.ResponseWriter, req *http.Request) error {
	e, err := r.lookup(req)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, e.info())
	return nil
}

func (r *Runner) deleteExecution(w http.ResponseWriter, req *http.Request) error {
	e, err := r.lookup(req)
	if err != nil {
		return err
	}
	if r.cfg.bugs.Has(bugs.NoExitAfterKill) || r.cfg.bugs.Has(bugs.KillDrainHang) {
		r.evict(e)
		e.seeded.evicted.Store(true)
	}
	if err := e.kill(); err != nil {
		return err
	}
	r.evict(e)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// postSignal checks the number before it looks for the execution: a bad number is 400 whatever else
// is wrong.
func (r *Runner) postSignal(w http.ResponseWriter, req *http.Request) error {
	var body struct {
		Signal *int `json:"signal"`
	}
	if err := decode(req, &body); err != nil {
		return err
	}
	if body.Signal == nil {
		return invalidArgument("signal is required")
	}
	sig, err := allowedSignal(*body.Signal)
	if err != nil {
		return err
	}
	e, err := r.lookup(req)
	if err != nil {
		return err
	}
	if err := e.signal(sig); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (r *Runner) postResize(w http.ResponseWriter, req *http.Request) error {
	var body size
	if err := decode(req, &body); err != nil {
		return err
	}
	rows, cols, err := body.check()
	if err != nil {
		return err
	}
	e, err := r.lookup(req)
	if err != nil {
		return err
	}
	if r.cfg.bugs.Has(bugs.ResizeSwapped) {
		rows, cols = cols, rows
	}
	err = e.resize(rows, cols)
	if err != nil && !(r.cfg.bugs.Has(bugs.ResizeNoTTY) && !e.tty && !e.finished()) {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
