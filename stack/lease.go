package stack

// Lease is the right of one plan to work as one organization of a stack. What the plan may count on
// depends on the stack: where organizations can be had at will, each plan has one of its own.
type Lease struct {
	Client *Client // acts for the organization
	// Other acts for another organization, Stranger does so on the path prefix of the leased one. Both
	// are nil on a stack that has no second organization for us; Stranger also where there is no prefix.
	Other, Stranger *Client
	Quota           int  // boxes the organization may have at once; 0 = not known
	Alone           bool // nobody else acts for the organization, now or ever
	release         func()
}

// NewLease returns a lease on c that calls release, which may be nil, when it is given back.
func NewLease(c *Client, release func()) *Lease { return &Lease{Client: c, release: release} }

// Release gives the organization back. Boxes that are left in one that was the plan's own are
// removed by the stack, sooner or later.
func (l *Lease) Release() {
	if l.release != nil {
		l.release()
	}
}

// Shared is the lease on a stack with one key for everything: c, and nothing is known of who else
// uses it. other is the key of another organization, "" = none; prefix is its path prefix.
func Shared(c *Client, other, prefix string) *Lease {
	l := NewLease(c, nil)
	if other != "" {
		l.Other = c.As(other, prefix)
		if own := c.Endpoint().Prefix; own != "" {
			l.Stranger = c.As(other, own)
		}
	}
	return l
}
