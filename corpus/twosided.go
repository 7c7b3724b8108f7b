package corpus

import (
	"fmt"

	"chaos/corpus/shrink"
)

// Proof is what replaying a case on two builds proves of the newer one.
type Proof string

// The proofs. Only ProofPass is green.
const (
	ProofPass          Proof = "PASS"
	ProofFail          Proof = "FAIL"
	ProofIndeterminate Proof = "INDETERMINATE"
)

// MaxProofError is the chance, at most, that a proof passes a build that still has the bug.
const MaxProofError = 0.05

// TwoSided judges a fix from both sides: the base build must still fail the case, and the candidate
// must pass it. Both passing proves nothing, since the case may have stopped working. The reason
// states the chance that a candidate with the bug would have passed. It is computed from the
// certified rate, or from what the base showed when that is clearly less, and must not be above
// MaxProofError.
func TwoSided(base, candidate Report) (Proof, string) {
	switch {
	case candidate.Verdict == Failed || candidate.Verdict == Flaky:
		return ProofFail, "the candidate fails: " + candidate.Detail
	case candidate.Verdict != Fixed:
		return ProofIndeterminate, fmt.Sprintf("the candidate could not be judged (%s): %s", candidate.Verdict, candidate.Detail)
	case base.Verdict == Fixed:
		return ProofIndeterminate, fmt.Sprintf("both passed, base in %d runs and candidate in %d: the case does not show the bug here", base.Runs, candidate.Runs)
	case base.Verdict != Failed && base.Verdict != Flaky:
		return ProofIndeterminate, fmt.Sprintf("the base could not be judged (%s): %s", base.Verdict, base.Detail)
	case base.Failures == 0:
		return ProofIndeterminate, "the base does not fail in the way of the case: " + base.Detail
	}
	rate := candidate.Rate
	if low, high := shrink.Interval(base.Failures, base.Runs); high < rate {
		rate = low
	}
	runs := candidate.Runs
	miss := missing(rate, runs)
	if miss > MaxProofError {
		need := fmt.Sprintf("it needs %d runs", RunsNeeded(rate, MaxProofError))
		if missing(rate, MaxRuns) > MaxProofError {
			need = fmt.Sprintf("the case fails too seldom here for %d runs to prove anything", MaxRuns)
		}
		return ProofIndeterminate, fmt.Sprintf("the base fails %d of %d runs and the candidate 0 of %d, but a candidate with the bug would pass in up to %s of cases; %s",
			base.Failures, base.Runs, runs, percent(miss), need)
	}
	return ProofPass, fmt.Sprintf("the base fails %d of %d runs, the candidate 0 of %d; a candidate with the bug would pass in at most %s of cases",
		base.Failures, base.Runs, runs, percent(miss))
}
