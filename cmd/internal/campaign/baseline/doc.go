// Package baseline holds what one would write instead of chaos in an afternoon, to compare it with: a state
// machine test with pgregory.net/rapid, once with one operation at a time and once with a few at once.
// It is all in the tests; make compare runs the comparison.
//
// Every tester gets the same stacks, client, organizations, workers and time. The rapid tests word their
// failures alike in each run, for rapid shrinks nothing else, and whoever wrote them knew the seeded bugs.
// They judge by answers and output only: what shows in the runner's journal, in processes or in files that
// stay is not looked at, nor are metrics, foreign keys, input, time limits and two callers of one exec.
//
// A step is one operation, whatever runs beside it. A rapid run that fails early counts with its length in
// the longest of its repeats. A repeat fails if anything at all is wrong with it, for every tester.
package baseline
