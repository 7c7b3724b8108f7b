package cli

import (
	"context"
	"sync"

	"chaos/cmd/internal/campaign"
	"chaos/model"
)

// cleanStacks are embedded stacks without bugs, one for each contract that is asked for.
type cleanStacks struct {
	mu  sync.Mutex
	all map[string]*openStack
}

// rig returns the rig on the stack that keeps contract, which is started if there is none yet.
func (s *cleanStacks) rig(ctx context.Context, contract model.Contract) (*campaign.Rig, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := contract.String()
	if st := s.all[name]; st != nil {
		return st.rig, nil
	}
	st, err := openEmbedded(ctx, nil, contract, false)
	if err != nil {
		return nil, err
	}
	if s.all == nil {
		s.all = map[string]*openStack{}
	}
	s.all[name] = st
	return st.rig, nil
}

func (s *cleanStacks) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.all {
		st.close()
	}
}
