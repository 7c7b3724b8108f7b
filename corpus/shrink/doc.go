// Package shrink makes failing plans small. It is built for failures that do not happen every time:
// "this plan fails" is a coin, so every decision is a statistical test with stated error rates and
// never a fixed number of repeats.
//
// The package knows nothing of how a plan is run. It is given a Run, which performs a plan once and
// tells whether the wanted failure occurred.
//
// # How it decides
//
// The original is run first, until it has failed 4 times or run 80 times; a plan that does not
// stand out from noise is reported as flaky and not shrunk. Its rate r sets the test that every
// candidate faces: Wald's sequential probability ratio test of "fails at r/2 or more" against
// "fails no more often than noise" (2 % unless told otherwise), with error rates 5 % and 1 %. The
// noise floor matters: a rule such as "failed at least once in 20 runs" ends on a plan that does
// not hold the bug as soon as 1 % of all runs fail by themselves.
//
// The test rises through levels. A candidate that only passes is put off after a few runs and comes
// back, with its evidence, on the next level; one failure earns it the whole test at once. Evidence
// belongs to a plan up to renaming, so nothing is paid for twice.
//
// # How it ends
//
// The result is run afresh for its certificate, and given up for an earlier one when it does not
// hold. Two ends are kept, the shortest plan and the shortest that still fails often.
package shrink
