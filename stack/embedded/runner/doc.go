// Package runner is the data plane of the embedded stack: the process that owns the sandboxes,
// starts commands in them and hands their output to callers. It takes its lifecycle orders from
// the API's job queue and serves executions over HTTP and WebSocket, as BoxLite's runner does.
//
// It is started as child role "runner". It reads one JSON Config from the first line of its
// standard input, prints {"ready":true,"addr":"127.0.0.1:PORT"} when it listens, and stops cleanly
// when its standard input ends or on SIGTERM. No box outlives it then, unless Config.AdoptMillis lets boxes
// wait for another runner: that one takes over those of a runner that was killed or was told to leave, by
// the state file in the directory of each. The executions of the first are unknown to the second.
//
// # Routes
//
// All but the first want "Authorization: Bearer <Token>". Errors are {"error":"<text>"}.
//
//	GET    /                                      health
//	POST   /v1/boxes/{box}/exec                   201 {"execution_id"}
//	GET    /v1/boxes/{box}/executions/{exec}        200, status running or completed
//	DELETE /v1/boxes/{box}/executions/{exec}        204: killed, and forgotten
//	GET    /v1/boxes/{box}/executions/{exec}/attach WebSocket
//	POST   /v1/boxes/{box}/executions/{exec}/signal 204
//	POST   /v1/boxes/{box}/executions/{exec}/resize 204
//	GET    /v1/boxes/{box}/metrics                200
//
// # What a caller can rely on
//
// Every execution that was answered 201 ends: by itself, by its time limit, by DELETE, or with 137
// when its box stops, dies or is destroyed. A start that meets a stop is answered 409 and leaves
// nothing behind.
//
// An attached caller receives each stream in order and without a gap, from the oldest byte still
// kept, as long as it is never more than 256 KiB behind; then the exit frame; then Close 1000. All
// that the command itself wrote before it ended comes before the exit frame. What its background
// children write after that is not collected and does not hold the exit up.
//
// One caller at a time may be attached for reading and writing. Read-only callers (?stdin=0 or
// ?stdin=false) are observers: they do not take that slot and any number may be there.
package runner
