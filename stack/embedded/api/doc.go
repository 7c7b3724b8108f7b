// Package api is the control plane of the embedded stack: a process that speaks the public REST
// contract of BoxLite's cloud profile (keys, organizations, names, quota, the state of each box),
// hands the work to a runner through a job queue and reverse-proxies everything that has to do with
// executions. It never runs a command itself.
//
// The server is started as child role "api". It reads one JSON Config from the first line of its
// standard input, prints {"ready":true,"addr":"127.0.0.1:PORT"} when it listens, and stops cleanly
// when its standard input ends or on SIGTERM.
//
// # Runner protocol
//
// The runner dials the API; every call carries "Authorization: Bearer <RunnerToken>".
//
//	POST /api/runner/jobs/poll           {"runner_url":"http://127.0.0.1:P","instance":"…","wait_ms":1000,"max":32}
//	  200 {"epoch":17,"jobs":[{"id","type","resource_id","payload":{"name","image","env","cpus","memory_mib","working_dir","lazy"}}]}
//	POST /api/runner/jobs/{id}/complete  {"status":"completed"|"failed","error":"","core_id":""}
//	  204, also for a job that is not in progress: a repeated callback is harmless
//	POST /api/runner/sync                {"epoch":17,"boxes":[{"id","state":"running"|"stopped"}]}
//	  200 {"epoch":18}
//
// A poll is answered at once when there is work, else after wait_ms. A box has at most one job in
// progress; jobs of one box are handed out in order, jobs of different boxes at the same time. A job
// that was handed out is offered again only when its runner is replaced by another: one at another address
// or with another instance, which is new in every process; or when the API was restarted, which cannot
// know what its last words were. So the runner does not do again what it has or has done, and repeats the
// completion of what it has done.
//
// A sync report is a claim about the past, so it needs a time. The API's clock for this purpose is
// the epoch: a number that grows with every change of a record and comes with every answer above.
// The runner echoes the greatest epoch it had seen before it began to look at its boxes, and the
// API disregards what the report says about a record that changed after that epoch, is in the
// middle of a change, or is to be destroyed. A box that is not in the report is left alone.
//
// # Restarts
//
// With Config.DataDir the records, the unfinished jobs, the organizations that were opened and the counts are
// in a file, and what is answered is written first. An API that is started there again, after any end of
// the one before, goes on with all that was under way. A caller that waited for it meanwhile has its
// connection cut: what it asked for may happen yet. Without a directory everything is in memory only.
//
// # Organizations
//
// The holder of the admin token opens organizations, each with a key and a limit of boxes of its own,
// and closes them again; see organizations.go. What a closed one leaves behind is swept.
//
// # Rules a caller can rely on
//
// A state that forbids an operation is answered 400 with code invalid_state. A write that lost to
// another write between its check and itself is answered 409 "Box was modified by another
// operation". A box of another organization cannot be told from one that does not exist. A refused
// create leaves nothing behind. Stop and delete answer before they are done; a deleted box is gone
// for its owner, name included, from the moment of the answer.
package api
