import base64, http.client, json, os, re, socket, ssl, sys, threading, time, urllib.parse

BASE = os.environ.get("BOXLITE_URL", "").rstrip("/")
KEY = os.environ.get("BOXLITE_API_KEY", "")
OTHER = os.environ.get("BOXLITE_OTHER_API_KEY", "")
PREFIX = os.environ.get("BOXLITE_PREFIX", "").strip("/")
URL = urllib.parse.urlsplit(BASE)
ROOT = URL.path + "/v1" + ("/" + PREFIX if PREFIX else "")
now = time.monotonic


class CannotRun(Exception):
    """The stack could not be reached: nothing can be said."""


def auth_header(who):
    if who == "missing":
        return {}
    return {"Authorization": {"": "Bearer " + KEY, "wrong": "Bearer chaos-not-a-key", "malformed": "chaos-not-a-key", "other": "Bearer " + OTHER}[who]}


def rest(method, path, body="", who=""):
    """Sends one request, never twice. Returns status and body; status 0 is no answer."""
    cls = http.client.HTTPSConnection if URL.scheme == "https" else http.client.HTTPConnection
    conn = cls(URL.hostname, URL.port, timeout=60)
    headers = auth_header(who)
    if body:
        headers["Content-Type"] = "application/json"
    try:
        conn.request(method, ROOT + path, body.encode() or None, headers)
        res = conn.getresponse()
        return res.status, res.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        conn.close()


def field(body, name):
    try:
        value = json.loads(body).get(name)
    except (ValueError, AttributeError):
        return ""
    return "" if value is None else str(value)


class Socket:
    """As much of a WebSocket client as an attach session needs."""

    def __init__(self, path, slow, limit):
        family, _, _, _, where = socket.getaddrinfo(URL.hostname, URL.port or (443 if URL.scheme == "https" else 80), 0, socket.SOCK_STREAM)[0]
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if slow:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(limit)
        self.sock.connect(where)
        if URL.scheme == "https":
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=URL.hostname)
        nonce = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n" % (ROOT + path, URL.netloc, KEY, nonce)).encode())
        self.buf = b""
        while b"\r\n\r\n" not in self.buf:
            self.more()
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        self.status = int(head.split(b" ")[1])

    def more(self):
        part = self.sock.recv(65536)
        if not part:
            raise ConnectionError("the connection ended")
        self.buf += part

    def take(self, n):
        while len(self.buf) < n:
            self.more()
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    def send(self, kind, data):
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xFE]) + len(data).to_bytes(2, "big") if len(data) < 65536 else bytes([0xFF]) + len(data).to_bytes(8, "big")
        self.sock.sendall(bytes([0x80 | kind]) + size + bytes(4) + data)

    def message(self):
        """Returns the kind (1 text, 2 binary, 8 close) and the bytes of the next message."""
        kind, whole = 0, b""
        while True:
            head = self.take(2)
            size = head[1] & 0x7F
            if size == 126:
                size = int.from_bytes(self.take(2), "big")
            elif size == 127:
                size = int.from_bytes(self.take(8), "big")
            data, op = self.take(size), head[0] & 0x0F
            if op == 9:
                self.send(10, data)
            elif op == 8:
                self.send(8, data[:2])
                return 8, data
            elif op != 10:
                kind, whole = op or kind, whole + data
                if head[0] & 0x80:
                    return kind, whole


def attach(box, ex, s):
    """Opens an attach session and reads it to its end. Then it looks at the execution once."""
    path = "/boxes/%s/executions/%s" % (box, ex)
    r = {"status": 0, "out": "", "err": "", "exit": None, "end": "", "opened": 0, "last": 0, "info": "", "info_exit": ""}
    out, err, frames, sock = [], [], 0, None
    try:
        sock = Socket(path + "/attach" + ("?stdin=0" if s["ro"] else ""), s["slow"], 60)
        r["status"] = sock.status
        if sock.status != 101:
            return r
        r["opened"] = now()
        time.sleep(s["slow"])
        if s["input"] and not s["ro"]:
            sock.send(2, s["input"].encode())
            sock.send(1, b'{"type":"stdin_eof"}')
        deadline = r["opened"] + s["limit"]
        while True:
            sock.sock.settimeout(max(0.001, deadline - now()))
            kind, data = sock.message()
            if kind == 8:
                r["end"] = "closed"
                break
            r["last"] = now()
            if kind == 2 and data[:1] in (b"\1", b"\2"):
                (out if data[:1] == b"\1" else err).append(data[1:])
                frames += 1
                if s["cut"] and frames >= s["cut"]:
                    r["end"] = "cut"
                    break
            elif kind == 1 and field(data, "type") == "exit" and r["exit"] is None:
                r["exit"] = json.loads(data).get("exit_code", -1)
    except (socket.timeout, TimeoutError):
        r["end"] = "silent" if r["status"] else ""
    except (OSError, ValueError):
        r["end"] = "lost" if r["status"] == 101 else ""
    finally:
        if sock is not None:
            sock.sock.close()
    r["out"], r["err"] = (b"".join(x).decode("utf-8", "surrogateescape") for x in (out, err))
    if r["exit"] is not None:
        status, body = rest("GET", path)
        if status == 200:
            r["info"], r["info_exit"] = field(body, "status"), field(body, "exit_code")
    return r


def session(box, ex, s):
    r = attach(box, ex, s)
    until = now() + s["again"]
    while r["status"] == 409 and now() < until:
        time.sleep(0.02)
        r = attach(box, ex, s)
    return r


def numbered(lines):
    """The lines that the command writes: each carries its token, its index and a running hash."""
    h, text = lines["seed"], lines["head"]
    for i in range(1, lines["n"] + 1):
        h = (h * 31 + i * 7) % 999983
        text += "%s %s %06d %06d%s%s" % (lines["token"], lines["stream"], i, h, lines["text"], lines["eol"])
    return text + lines["foot"]


def short(text):
    return text if len(text) <= 200 else text[:200] + "…"


def check_session(kind, s, r, resized):
    """Says what is wrong with one session, or nothing."""
    if r["status"] != 101:
        return "attach was answered with 409 although nobody is attached any more" if kind == "slot" and r["status"] == 409 and s["again"] else ""
    if kind == "silent" and r["end"] == "silent":
        return "the attach session was silent for %g s and did not end" % s["limit"]
    if kind == "exit" and r["end"] in ("closed", "lost"):
        if r["exit"] is None:
            return "the attach session ended without an exit frame"
        if not s["killed"] and r["exit"] != s["exit"]:
            return "the exit frame says %s, the command ended with %d" % (r["exit"], s["exit"])
        if r["info_exit"] and int(r["info_exit"]) != r["exit"]:
            return "GET says that the exec ended with %s, the exit frame says %s" % (r["info_exit"], r["exit"])
    if kind == "info" and r["exit"] is not None and r["info"] == "running":
        return "GET says running after the exit frame"
    if kind == "size":
        for line in r["out"].splitlines():
            for rows, cols in resized:
                if line.endswith(" %d %d" % (cols, rows)) and rows != cols:
                    return "the terminal had the size %s, asked for were %d rows and %d columns" % (line, rows, cols)
    if kind in ("output", "told") and r["end"] == "closed" and r["exit"] is not None:
        if kind == "told":
            want, got = s["out"]["head"], r["out"][:len(s["out"]["head"])]
            return "" if got == want else "the command told %r, not %r" % (short(got), short(want))
        for name in ("out", "err"):
            want, got = numbered(s[name]), r[name]
            if got != want:
                return "std%s: %d of %d characters came, or others: %r" % (name, len(got), len(want), short(got))
    return ""


def check_pairs(sessions):
    """Two sessions that read and write at once on one execution."""
    for ex, s, r in sessions:
        for ex2, s2, r2 in sessions:
            if ex == ex2 and r is not r2 and not s["ro"] and not s2["ro"] and r["status"] == r2["status"] == 101 \
                    and r["exit"] is not None and r2["exit"] is not None and r["opened"] <= r2["opened"] < min(r["last"], r["opened"] + s["runs"]):
                return "two attach sessions were let in at once"
    return ""
