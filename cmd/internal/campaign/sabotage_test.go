package campaign

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/actions/engine"
	"chaos/model"
	"chaos/stack"
	"chaos/stack/embedded"
)

// sabotage is what a test puts in the way of a campaign; the zero value is nothing.
type sabotage struct {
	layer   layer                         // between clients and API
	log     stack.JournalSource           // read instead of the runner's journal
	perform func(s model.Step, do func()) // around every step
	limits  func(l *model.Limits)         // shorter ones, where nothing will be answered
}

// layer answers a request, or lets next, which is the API, do it.
type layer func(w http.ResponseWriter, q *http.Request, next http.Handler)

// tampered is the embedded stack as it is seen through a sabotage.
type tampered struct {
	*embedded.Target
	sabotage
	via *stack.Client // to the layer, nil = there is none
}

// Lease implements stack.Target: an organization of the stack, reached through the layer.
func (t *tampered) Lease(ctx context.Context) (*stack.Lease, error) {
	l, err := t.Target.Lease(ctx)
	if err != nil || t.via == nil {
		return l, err
	}
	for _, c := range []**stack.Client{&l.Client, &l.Other, &l.Stranger} {
		*c = t.via.As((*c).Endpoint().Key, (*c).Endpoint().Prefix)
	}
	return l, nil
}

// Limits implements stack.Target.
func (t *tampered) Limits() model.Limits {
	l := t.Target.Limits()
	if t.limits != nil {
		t.limits(&l)
	}
	return l
}

// Journal implements stack.Target.
func (t *tampered) Journal() stack.JournalSource {
	if t.log != nil {
		return t.log
	}
	return t.Target.Journal()
}

// lookup finds actions that are performed under the sabotage.
func (t *tampered) lookup(name string) (actions.Action, bool) {
	a, ok := actions.Get(name)
	if ok && t.perform != nil {
		a = wrapped{a, t.perform}
	}
	return a, ok
}

type wrapped struct {
	actions.Action
	around func(s model.Step, do func())
}

// Perform implements actions.Action.
func (w wrapped) Perform(ctx context.Context, env *actions.Env, s model.Step) {
	w.around(s, func() { w.Action.Perform(ctx, env, s) })
}

// tamper returns a rig on target as it is seen through s. Close the rig after use.
func tamper(t *testing.T, target *embedded.Target, s sabotage) *Rig {
	t.Helper()
	seen := &tampered{Target: target, sabotage: s}
	if s.layer != nil {
		seen.via = between(t, target.Client().Endpoint(), s.layer)
	}
	rig, err := NewRig(seen)
	require.NoError(t, err)
	rig.engine.Close()
	rig.engine = engine.New(seen, seen.lookup)
	return rig
}

// between starts a proxy to ep that lets in do its work, and returns a client to it.
func between(t *testing.T, ep stack.Endpoint, in layer) *stack.Client {
	t.Helper()
	base, err := url.Parse(ep.URL)
	require.NoError(t, err)
	next := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: base.Scheme, Host: base.Host})
	next.ErrorLog = log.New(io.Discard, "", 0)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { in(w, q, next) }))
	via := stack.New(stack.Endpoint{URL: s.URL + base.Path})
	t.Cleanup(func() {
		via.Close()
		s.CloseClientConnections()
		s.Close()
	})
	return via
}

// oneByOne lets one request at a time through; an attach session may go on by itself.
func oneByOne() layer {
	var mu sync.Mutex
	return func(w http.ResponseWriter, q *http.Request, next http.Handler) {
		if !strings.HasSuffix(q.URL.Path, "/attach") {
			mu.Lock()
			defer mu.Unlock()
		}
		next.ServeHTTP(w, q)
	}
}

// answering gives every request that is a method on a path with the given end to do instead.
func answering(method, end string, do http.HandlerFunc) layer {
	return func(w http.ResponseWriter, q *http.Request, next http.Handler) {
		if q.Method == method && strings.HasSuffix(q.URL.Path, end) {
			do(w, q)
			return
		}
		next.ServeHTTP(w, q)
	}
}

// unavailable is an answer that the contract allows.
func unavailable(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `{"error":{"message":"no runner","type":"UpstreamUnavailableError","code":"upstream_unavailable"}}`)
}

// silent answers nothing until the client has gone.
func silent(_ http.ResponseWriter, q *http.Request) {
	_, _ = io.Copy(io.Discard, q.Body) // a server notices that the client goes when it has read all
	<-q.Context().Done()
}

// cache answers creates, and looks at the boxes it made up, from its own; the rest goes to the API,
// which knows nothing of them.
func cache() layer {
	var boxes sync.Map
	return func(w http.ResponseWriter, q *http.Request, next http.Handler) {
		_, id, of := strings.Cut(q.URL.Path, "/boxes")
		id = strings.TrimPrefix(id, "/")
		w.Header().Set("Content-Type", "application/json")
		switch box, known := boxes.Load(id); {
		case of && id == "" && q.Method == http.MethodPost:
			var asked struct{ Name string }
			_ = json.NewDecoder(q.Body).Decode(&asked)
			id = strings.ToLower(rand.Text())
			box = fmt.Sprintf(`{"box_id":%q,"name":%q,"status":"running","cpus":1,"memory_mib":512}`, id, asked.Name)
			boxes.Store(id, box)
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprint(w, box)
		case known && q.Method == http.MethodGet:
			_, _ = fmt.Fprint(w, box)
		default:
			w.Header().Del("Content-Type")
			next.ServeHTTP(w, q)
		}
	}
}

// emptyLog is a journal that nobody writes to.
type emptyLog struct{}

func (emptyLog) Describe() string { return "empty" }

func (emptyLog) Since(context.Context, string) ([]stack.LogEntry, string, error) { return nil, "", nil }
