package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Proxy is a message scheduler. New makes one, Close ends it.
type Proxy struct {
	front, back, work *gate
	settle            time.Duration
	transport         *http.Transport
	ctx               context.Context
	end               context.CancelFunc
	mail              mailbox

	mu     sync.Mutex
	api    string // host:port, "" = not known yet
	runner string
	plans  map[string]*announced
	boxes  boxRules
}

// settle is how long a lane waits for further messages before it lets the first through. A message
// needs less than a millisecond from end to end on an idle machine.
const settle = 4 * time.Millisecond

// buffer is how much the kernel may keep of a stream in one direction, in bytes: little, because what
// it keeps neither end knows of.
const buffer = 128 << 10

// gate is a listening address.
type gate struct {
	listener net.Listener
	server   *http.Server
}

// New returns a proxy that listens on loopback. It knows neither API nor runner yet.
func New() (*Proxy, error) {
	p := &Proxy{settle: settle, plans: map[string]*announced{}, boxes: newBoxRules(),
		transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second, DisableCompression: true}}
	p.ctx, p.end = context.WithCancel(context.Background())
	var err error
	for _, g := range []struct {
		at  **gate
		how http.Handler
	}{
		{&p.front, &hop{proxy: p, target: p.apiAddr, names: frontNames}},
		{&p.back, &hop{proxy: p, target: p.runnerAddr, names: backNames}},
		{&p.work, &runnerSide{p}},
	} {
		if *g.at, err = open(g.how); err != nil {
			return nil, errors.Join(fmt.Errorf("listen: %w", err), p.Close())
		}
	}
	return p, nil
}

func open(h http.Handler) (*gate, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{ln, &http.Server{Handler: h, ErrorLog: zap.NewStdLog(zap.NewNop()), ReadHeaderTimeout: time.Minute}}
	go func() { _ = g.server.Serve(ln) }()
	return g, nil
}

func (g *gate) addr() string { return g.listener.Addr().String() }

// Close ends the proxy and every connection through it.
func (p *Proxy) Close() error {
	p.end()
	var errs []error
	for _, g := range []*gate{p.front, p.back, p.work} {
		if g != nil {
			errs = append(errs, g.server.Close())
		}
	}
	p.transport.CloseIdleConnections()
	return errors.Join(errs...)
}

// Front is the host:port that clients are to use instead of the API's.
func (p *Proxy) Front() string { return p.front.addr() }

// Work is the host:port that the runner is to use instead of the API's.
func (p *Proxy) Work() string { return p.work.addr() }

// SetAPI tells where the API is, host:port. Until then requests find nobody.
func (p *Proxy) SetAPI(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.api = addr
}

func (p *Proxy) apiAddr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.api
}

func (p *Proxy) runnerAddr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runner
}
