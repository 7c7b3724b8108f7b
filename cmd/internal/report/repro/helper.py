

def serve():
    for line in sys.stdin:
        n, box, ex = line.split()
        r = session(box, ex, next(c["session"] for c in PROGRAM["calls"] if c["n"] == int(n)))
        with open(os.path.join(os.environ["R"], "session." + n), "w") as f:
            json.dump(r, f)
        print("done", flush=True)


def verdict():
    kind, found, resized = PROGRAM["check"]["kind"], [], []
    for c in PROGRAM["calls"]:
        at = os.path.join(os.environ["R"], ("session." if c["session"] else "status.") + str(c["n"]))
        if c["session"] and os.path.exists(at):
            with open(at) as f:
                found.append((c["exec"], c["session"], json.load(f)))
        elif c["op"] == "resize" and open(at).read().strip() == "204":
            resized.append((c["rows"], c["cols"]))
    for _, s, r in found:
        wrong = s["judge"] and check_session(kind, s, r, resized)
        if wrong:
            return wrong
    return check_pairs(found) if kind == "two" else ""


if sys.argv[1] == "serve":
    serve()
else:
    sys.stdout.write(verdict().encode("utf-8", "replace").decode())
