// Package actions holds what a plan can do, one file an action: how it is drawn, when that makes
// sense, how it moves the generator's belief, how it is performed and recorded. What the server may
// answer is not here but in the contract (model.Contract), because it depends on the kind of server.
//
// To add an action: copy a small file such as get.go, register it with a new name, and give the
// contract the rules for its operation. The conformance test covers it from then on.
package actions
