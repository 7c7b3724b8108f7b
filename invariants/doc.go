// Package invariants judges histories. Judge is a pure function: the same history gives the same
// verdict, anywhere. Each invariant is one file, enforces one promise and cites where the promise
// is written. It sees the history and the contract, never the stack, the generator or what was
// seeded into the stack.
//
// To add an invariant: copy a small file such as list_truth.go, and give it at least one bad history
// in its test; the conformance test fails without.
package invariants
