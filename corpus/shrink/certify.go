package shrink

// verified is a plan and its fresh runs.
type verified struct {
	e     *evidence // fresh runs only
	index int       // place in the history
}

func (v *verified) candidate() Candidate {
	return Candidate{v.e.plan, NewCertificate(v.e.fails, v.e.runs, true)}
}

// allFailed is how many failures in a row end the fresh runs.
const allFailed = 20

// verifyShortest runs the result afresh and steps back while it does not hold. A plan that was given
// up never becomes a candidate again.
func (s *session) verifyShortest() error {
	for {
		at := len(s.history) - 1
		if s.shortest != nil && s.shortest.index == at {
			return nil
		}
		v, holds, err := s.verify(at)
		if err != nil {
			// Unfinished fresh runs are worth more than the runs that chose the plan.
			if holds {
				s.shortest = v
			}
			return err
		}
		if holds {
			s.shortest = v
			return nil
		}
		if at == 0 {
			s.flaky, s.shortest = true, v // not even the original stands out any more
			return nil
		}
		s.history[at].banned = true
		s.history = s.history[:at]
		s.rolled++
	}
}

// verify runs the history's plan at index afresh. It holds when the evidence is for a rate above
// noise at the end, and it is given up early when the test refuses it.
func (s *session) verify(index int) (v *verified, holds bool, err error) {
	t := s.lab.test
	e, err := s.lab.repeat(s.history[index].plan, func(e *evidence) int {
		switch {
		case e.hopeless(), e.runs >= s.opt.CertRuns, t.ratio(e.fails, e.runs) <= t.refuse:
			return 0
		case e.runs == e.fails:
			return min(allFailed, s.opt.CertRuns) - e.runs
		}
		return s.opt.CertRuns - e.runs
	})
	return &verified{e: e, index: index}, t.ratio(e.fails, e.runs) > 0, err
}

// findReliable looks for the shortest accepted plan whose rate is not below the floor, when the
// shortest of all fails less often. Rates fall as plans get shorter, by and large, so the history
// is halved instead of measured from end to end. An original below the floor itself sets the floor,
// and nothing is looked for unless the shortest is clearly worse.
func (s *session) findReliable() error {
	floor := s.opt.RateFloor
	short := s.shortest.candidate().Certificate
	original := estimate(s.original.fails, s.original.runs)
	if original < floor {
		if short.High >= original {
			return nil
		}
		floor = 0.75 * original
	}
	if short.Rate() >= floor {
		return nil
	}
	low, high := -1, s.shortest.index // high is known to be below the floor
	for high-low > 1 {
		mid := low + (high-low)/2
		v, err := s.measure(mid, floor)
		if err != nil {
			return err
		}
		if v.candidate().Certificate.Rate() >= floor {
			low, s.reliable = mid, v
		} else {
			high = mid
		}
	}
	return nil
}

// measure runs the history's plan at index afresh, and stops early once its rate is surely below floor.
func (s *session) measure(index int, floor float64) (*verified, error) {
	e, err := s.lab.repeat(s.history[index].plan, func(e *evidence) int {
		switch {
		case e.hopeless(), e.runs >= s.opt.CertRuns:
			return 0
		case e.runs == e.fails:
			return min(allFailed, s.opt.CertRuns) - e.runs
		}
		if _, high := Interval(e.fails, e.runs); high < floor {
			return 0
		}
		return s.opt.CertRuns - e.runs
	})
	return &verified{e: e, index: index}, err
}
