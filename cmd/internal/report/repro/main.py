

class Round:
    """One performance of the plan, with boxes of its own."""

    def __init__(self, program, run):
        self.p, self.run = program, run
        self.ids, self.bound, self.lock = {}, {}, threading.Lock()
        self.answers, self.sessions, self.resized, self.stopped = {}, [], [], False
        for c in program["calls"]:
            if c["bind"]:
                self.bound[c["bind"]] = threading.Event()
        self.barriers = {c["group"]: threading.Barrier(c["size"]) for c in program["calls"] if c["group"]}

    def path(self, c):
        return c["path"].replace("@BOX@", self.ids.get(c["box"]) or "chaosnosuch1").replace("@EXEC@", self.ids.get(c["exec"]) or "00000000-0000-4000-8000-000000000000")

    def client(self, name):
        for c in self.p["calls"]:
            if c["client"] == name and not self.stopped:
                try:
                    self.step(c)
                finally:
                    if c["bind"]:
                        self.bound[c["bind"]].set()

    def step(self, c):
        for ref in c["wait"]:
            self.bound[ref].wait()
        if c["group"]:
            self.barriers[c["group"]].wait()
        time.sleep(c["gap"])
        if c["session"]:
            if self.ids.get(c["exec"]):
                r = session(self.ids[c["box"]], self.ids[c["exec"]], c["session"])
                with self.lock:
                    self.sessions.append((c["exec"], c["session"], r))
            return
        status, body = rest(c["method"], self.path(c), c["body"].replace("@RUN@", self.run), c["auth"])
        with self.lock:
            self.answers[c["n"]] = (status, body)
            if c["op"] == "resize" and status == 204:
                self.resized.append((c["rows"], c["cols"]))
        if c["bind"] and 200 <= status < 300:
            self.ids[c["bind"]] = field(body, "box_id" if c["op"] == "create" else "execution_id")
        if c["watch"] and 200 <= status < 300:
            self.settle(c["box"], c["watch"])

    def settle(self, ref, want):
        """Looks at a box until its status is want. Returns the last one that was seen."""
        until = now() + 8
        while True:
            status, body = rest("GET", "/boxes/" + self.ids.get(ref, "chaosnosuch1"))
            seen = field(body, "status") if status == 200 else ""
            if seen in (want, "") or now() > until:
                return seen
            time.sleep(0.005)

    def perform(self):
        clients = [threading.Thread(target=self.client, args=(n,), daemon=True) for n in sorted({c["client"] for c in self.p["calls"]})]
        try:
            for t in clients:
                t.start()
            for t in clients:
                t.join()
            return self.verdict() or self.leave()
        except KeyboardInterrupt:
            self.stopped = True
            for t in clients:
                t.join(10)  # what it has asked for must be known, or it cannot be removed
            raise
        finally:
            self.clean()

    def verdict(self):
        k = self.p["check"]
        if self.answers and not any(s for s, _ in self.answers.values()):
            raise CannotRun("no answer from BOXLITE_URL")
        for c in self.p["calls"]:
            status, body = self.answers.get(c["n"], (0, ""))
            if not status or not c["judge"]:
                continue
            if k["kind"] == "status" and (status in k["bad"] or k["want"] and status not in k["want"]):
                return "%s %s was answered with %d: %s" % (c["op"], c["box"] or c["exec"], status, short(body))
            if k["kind"] == "body" and status >= 400 and field(body, "statusCode") not in ("", "0", str(status)):
                return "%s %s was answered with %d and a body that says %s" % (c["op"], c["box"], status, field(body, "statusCode"))
            if k["kind"] == "settled" and c["expect"] and status == 200 and field(body, "status") != c["expect"]:
                return "get %s shows %s, not %s" % (c["box"], field(body, "status"), c["expect"])
        if k["kind"] == "settled":
            for ref, want in self.p["final"].items():
                seen = self.settle(ref, want) if self.ids.get(ref) else ""
                if seen not in (want, ""):
                    return "%s stays %s, not %s" % (ref, seen, want)
        if k["kind"] == "names":
            had = {}
            for c in self.p["calls"]:
                if c["op"] == "create" and self.ids.get(c["bind"]):
                    if c["name"] in had and had[c["name"]] != self.ids[c["bind"]]:
                        return "two boxes got one name"
                    had[c["name"]] = self.ids[c["bind"]]
        for _, s, r in self.sessions:
            if s["judge"]:
                wrong = check_session(k["kind"], s, r, self.resized)
                if wrong:
                    return wrong
        return check_pairs(self.sessions) if k["kind"] == "two" else ""

    def leave(self):
        """Removes the boxes and looks at each once more, if the promise is about that."""
        k = self.p["check"]
        for ref in self.p["boxes"]:
            if k["gone"] and self.ids.get(ref) and self.remove(ref):
                status, body = rest("GET", "/boxes/" + self.ids[ref])
                if status in k["gone"]:
                    return "get %s was answered with %d after its removal: %s" % (ref, status, short(body))
        return ""

    def remove(self, ref):
        until = now() + 8
        while True:
            status, _ = rest("DELETE", "/boxes/" + self.ids[ref] + "?force=true")
            if status not in (0, 400, 409) and status < 500 or now() > until:
                return 200 <= status < 300
            time.sleep(0.01)

    def clean(self):
        for ref in self.p["boxes"]:
            if self.ids.get(ref):
                self.remove(ref)


def reproduce(program):
    """Performs the plan until it fails, or as often as its rate asks for. Returns what was seen, or nothing."""
    if not BASE or not KEY:
        raise CannotRun("set BOXLITE_URL (without /v1) and BOXLITE_API_KEY")
    if program["other"] and not OTHER:
        raise CannotRun("set BOXLITE_OTHER_API_KEY to a key of another organization")
    for n in range(program["rounds"]):
        seen = Round(program, "chaos-repro-%d-%d" % (os.getpid(), n)).perform()
        if seen:
            return "in run %d of at most %d: %s\npromised: %s" % (n + 1, program["rounds"], seen, program["promise"])
    return ""
