// Package model is the vocabulary of chaos and its pure parts: plans, histories, verdicts, the
// contract, the payloads that boxes run. It does no I/O, reads no clock and draws no randomness
// of its own; everything else points down to it.
//
//	seed ─► model/gen ─► Plan ─► actions/engine ─► History ─► invariants.Judge ─► Verdict
//	                      ▲                                                          │ violated
//	                      └── model/plantext ◄── corpus ◄── corpus/shrink ◄──────────┘
//
// A Plan holds everything random, so it replays and shrinks. A History holds everything that was
// sent and came back, so it can be judged again, anywhere, to the same Verdict.
package model
