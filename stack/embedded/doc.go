// Package embedded starts a whole stack on this machine, for the caller alone: an API and a runner
// as processes of their own, boxes in real sandboxes, and a private journal. Start returns when a
// box can be created; Stop returns when nothing of the stack is left.
//
// The processes are children of one keeper process, which lives in a session of its own and ends
// when its standard input does. So a stack survives Ctrl-C at the caller's terminal long enough to
// be put away, and does not survive a caller that is killed: the keeper then stops everything and
// removes the directory. If the keeper itself is killed, the API and the runner end by the same
// means, and the boxes because their lifeline, a pipe of which the keeper has the other end, is cut. The kernel
// wakes parts that are frozen then.
//
// Stack.Control breaks parts and mends them. The keeper holds what must outlive them: the ports, the socket of
// journald, the lifeline, and the inits of boxes whose runner is dead, which become its children.
//
// A program that calls Start must call child.Dispatch first thing in main, and a test in TestMain:
// all these processes are the program itself, started again.
//
// Boxes run our own test commands. They are no security boundary.
package embedded
