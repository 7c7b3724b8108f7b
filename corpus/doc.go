// Package corpus keeps failures that were found, one text file each, replays them, and says whether
// they are fixed.
//
// A case is read by engineers in pull requests and by chaos in every run of the regression suite:
//
//	# chaos case 1
//	# signature: stdout-complete · exec · running · truncated
//	# promise: everything a command writes arrives, in order, before its exit code
//	# found: 2026-03-02, seed 7718281
//	# build: embedded 3f2c1ab
//	# bugs: stdout-race
//	# reference: #563
//	# certificate: fails 41 of 60 fresh runs (95 %: 55–80 %)
//	# shrunk: 34 steps to 3 in 118 runs
//
//	a: b1 = create
//	together
//	  a: e1 = exec b1 stdout=200
//	  b: stop b1 gap=3ms
//
//	# | +12.1ms a exec e1 → 201
//	# | +15.3ms b stop b1 → 200
//
// The first line names the version of the form. Header lines that chaos does not know are kept and
// written back, so a team can add its own, such as "# owner: runner". The plan follows in the form
// of package plantext, and then, behind "# |", what the first failing run looked like.
package corpus
