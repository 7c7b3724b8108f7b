package stack

import "context"

// Gate watches over everything that clients send to a stack that is not ours alone. It is safe for
// concurrent use.
type Gate interface {
	// Before is asked for each request, which it may change. With an error the request is not sent.
	// An attach session is asked for with method Attaching.
	Before(req *Request) error
	// After is told how a request that was sent has ended.
	After(req Request, res Response, err error)
	// Received is told of bytes of answers and sessions.
	Received(n int)
}

// Attaching is the method by which a Gate knows attach sessions.
const Attaching = "ATTACH"

// Guarded returns a client that asks g, and shares the connections of c. So do those that As makes of it.
func (c *Client) Guarded(g Gate) *Client {
	other := *c
	other.gate = g
	return &other
}

// Reserver is a target that bounds how many boxes there are at once and how fast they are made.
type Reserver interface {
	// Reserve waits until a plan that makes so many boxes may begin. Call release when they are gone.
	Reserve(ctx context.Context, boxes int) (release func(), err error)
}
