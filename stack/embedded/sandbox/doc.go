// Package sandbox runs the boxes of the embedded stack: real commands, each box apart from the
// others and from the machine as far as the machine allows it.
//
// A box is one small init process, this same executable started again in the role "boxinit". In
// the modes Namespaces and UserNamespaces it is PID 1 of new pid, mount, uts, ipc and network
// namespaces; in the mode Plain it has none of them and is only a subreaper. The caller asks it for
// execs over a socketpair, and the init itself starts them, so nothing here ever joins a namespace.
// The init dies when its socket reaches end of file, and takes every process of the box with it:
// a caller that is killed with SIGKILL leaves no process and no mount behind. With Config.Linger it first
// waits for another caller, which comes through a socket in Config.Dir (Adopt), and takes its requests over
// from there; Config.Lifeline still ends it at once.
//
//	caller                                   init (PID 1 of the box)
//	Box.Exec ── request, stdin/out/err ────►  look up, fork, exec
//	         ◄── started, pid, pty master ──
//	Process.Exited ◄── exit code ───────────  wait4
//	Box.Kill ── SIGKILL, or end of file ───►  every process of the box ends
//
// What a box sees: /usr, /bin, /etc and the like of the machine, changes to them kept in memory and
// lost with the box; /root, /home, /workspace, /var and /srv of its own, kept under Config.Dir and
// there again when a box is started with the same Dir; an empty /tmp; its own /proc, /dev and
// loopback interface, and no other network. In Plain mode a box sees the machine's file system, and
// only a working directory below the box's own directories is looked up in Config.Dir.
//
// The sandbox keeps test commands apart. It is not a security boundary for hostile code.
package sandbox
