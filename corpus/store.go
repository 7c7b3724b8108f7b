package corpus

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"chaos/corpus/shrink"
	"chaos/model"
	"chaos/model/plantext"
)

// Added is what Store.Add did.
type Added string

// What Store.Add can do.
const (
	New       Added = "added"
	Improved  Added = "improved"  // it replaced a worse case of the same finding
	Duplicate Added = "duplicate" // the case that is there is as good or better
)

// Store is a directory of cases with at most one case for each finding. It is safe for concurrent
// use by one process.
type Store struct {
	dir    string
	vocab  model.Vocabulary
	mu     sync.Mutex
	cases  map[Finding]*Case
	broken []error
}

// Open reads the cases in dir, which need not exist yet. When several are about one finding the best
// counts; the others stay where they are.
func Open(dir string, vocab model.Vocabulary) (*Store, error) {
	cases, broken, err := LoadDir(dir, vocab)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, vocab: vocab}
	s.take(cases, broken)
	return s, nil
}

// take makes what was read what the store holds.
func (s *Store) take(cases []*Case, broken []error) {
	s.cases, s.broken = map[Finding]*Case{}, broken
	for _, c := range cases {
		if old, ok := s.cases[c.Finding()]; !ok || Better(c, old) {
			s.cases[c.Finding()] = c
		}
	}
}

// Dir returns the directory.
func (s *Store) Dir() string { return s.dir }

// Broken returns what was wrong with files that could not be read.
func (s *Store) Broken() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.broken)
}

// Cases returns the cases, sorted by name. They must not be changed.
func (s *Store) Cases() []*Case {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Case, 0, len(s.cases))
	for _, c := range s.cases {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *Case) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Find returns the case of a finding.
func (s *Store) Find(f Finding) (*Case, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.cases[f]
	return c, ok
}

// Add saves c unless a case of the same finding is as good, and returns what it did and the path of
// the case that is there now. A case that replaces another takes over its name, and its reference
// and extra header lines where it has none itself: people wrote those. c.Name is set; c must not be
// changed afterwards.
func (s *Store) Add(c *Case) (Added, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.cases[c.Finding()]
	if known && !Better(c, old) {
		return Duplicate, s.path(old.Name), nil
	}
	if known {
		c.inherit(old)
	}
	path, err := c.Save(s.dir)
	if err != nil {
		return "", "", err
	}
	s.cases[c.Finding()] = c
	if known {
		return Improved, path, nil
	}
	return New, path, nil
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name+Ext) }

func (c *Case) inherit(old *Case) {
	c.Name = old.Name
	if c.Reference == "" {
		c.Reference = old.Reference
	}
	for _, h := range old.Extra {
		if !slices.ContainsFunc(c.Extra, func(x Header) bool { return x.Key == h.Key }) {
			c.Extra = append(c.Extra, h)
		}
	}
}

// Remove deletes the case called name, whether it can be read or not and whether it is the one that
// counts for its finding or not. If others are about the same finding, the best of them counts then.
func (s *Store) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, err := s.named(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove case: %w", err)
	}
	cases, broken, err := LoadDir(s.dir, s.vocab)
	if err != nil {
		return err
	}
	s.take(cases, broken)
	return nil
}

// Promote copies the case called name into suiteDir, the regression suite, and returns the path. It
// stays in the store too, so that the next campaign knows it for a duplicate.
func (s *Store) Promote(name, suiteDir string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, err := s.named(name)
	if err != nil {
		return "", err
	}
	c, err := Load(path, s.vocab)
	if err != nil {
		return "", err
	}
	return c.Save(suiteDir)
}

// named returns the path of the case called name.
func (s *Store) named(name string) (string, error) {
	path := s.path(name)
	st, err := os.Lstat(path)
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") || err != nil || st.IsDir() {
		return "", fmt.Errorf("no case is called %q in %s", name, s.dir)
	}
	return path, nil
}

// reliable is the rate from which a case is worth keeping short: below it, every further step less
// that costs half of the rate is a bad bargain.
const reliable = 0.3

// Better reports whether a should replace b, a case of the same finding. A shorter plan is better
// unless it fails less than half as often, and less than 30 % of the time; among plans of the same
// length the one that surely fails more often is better, then the simpler one. Measuring a plan again
// makes it no better: the luckiest of many measurements would be kept. Fresh runs replace
// runs that took part in choosing the plan, whatever the length: those flatter a plan, and a longer
// one with fresh runs may be what is left after the shorter one did not hold.
func Better(a, b *Case) bool {
	fresh := a.Certificate.Fresh && !b.Certificate.Fresh
	if d := len(a.Plan.Steps) - len(b.Plan.Steps); d != 0 {
		if d < 0 {
			return worthwhile(a, b)
		}
		return fresh || !worthwhile(b, a)
	}
	if a.Certificate.Fresh != b.Certificate.Fresh {
		return fresh
	}
	if a.Certificate.Runs == 0 || b.Certificate.Runs == 0 {
		if a.Certificate.Runs != b.Certificate.Runs {
			return a.Certificate.Runs > 0
		}
	} else if plantext.Print(a.Plan) == plantext.Print(b.Plan) {
		return false
	}
	if surely(a, b) || surely(b, a) {
		return surely(a, b)
	}
	return shrink.CostOf(a.Plan, nil).Less(shrink.CostOf(b.Plan, nil))
}

// worthwhile reports whether the shorter plan fails often enough to take the place of the longer.
func worthwhile(short, long *Case) bool {
	return short.Certificate.Rate() >= min(reliable, long.Certificate.Rate()/2)
}

// surely reports whether a fails more often than b, so that it is no luck of the measurement.
func surely(a, b *Case) bool { return a.Certificate.Low > b.Certificate.Rate() }
