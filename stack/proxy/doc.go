// Package proxy is the message scheduler: it stands between client and API and, where the runner can
// be told another address of the API, between API and runner. It knows the protocol, so it can tell
// which step of which plan a message belongs to: by the tag in the header of a request, and by box
// for the jobs and reports that requests become. Each plan says what is to be held, for how long, and
// where a session is cut (model.ScheduleArgs); without a plan that says so everything passes as it
// comes, and connections end at one side when they end at the other.
//
// Holding messages to find races is Namazu's idea (github.com/osrg/namazu); ranks with few changes
// are the priorities of PCT (Burckhardt et al., ASPLOS 2010) on messages, PCTCP (Ozkan et al.,
// OOPSLA 2018): see Bound.
package proxy

import "math"

// Bound is the least probability with which ranks drawn at random, with depth-1 yields, bring about
// an order of messages of the given depth, of width chains of messages with n messages in all:
// 1/(width²·n^(depth-1)), by PCTCP. It holds for messages that are there in time for each other.
func Bound(width, n, depth int) float64 {
	if width < 1 || n < 1 || depth < 1 {
		return 0
	}
	return 1 / (float64(width) * float64(width) * math.Pow(float64(n), float64(depth-1)))
}
