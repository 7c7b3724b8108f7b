// Drives a stack with BoxLite's own client, as its users do. One line of JSON per check goes to
// standard output: {"name", "ok", "detail"}. The checks share one box and depend on their order.
import { ApiKeyCredential, BoxliteRestOptions, JsBoxlite, SimpleBox } from "@boxlite-ai/boxlite";
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

const { CHAOS_URL: url, CHAOS_KEY: key, CHAOS_OTHER_KEY: otherKey, CHAOS_PREFIX: prefix } = process.env;
const patience = 15_000; // ms that a check may take, and that a state may take to be reached
const image = "alpine:latest";
const name = "client-box";

const connect = (key, pathPrefix) =>
  JsBoxlite.rest(new BoxliteRestOptions({ url, credential: new ApiKeyCredential(key), pathPrefix }));
const rt = connect(key);
let box;

const sh = (script, { args = [], env, tty = false, limit, cwd, on = box } = {}) =>
  on.exec("sh", ["-c", script, "sh", ...args], env, tty, undefined, limit, cwd);

// reader takes a stream apart as the checks need it: up to a text, or to its end.
function reader(stream) {
  let text = "";
  const more = async () => {
    const chunk = await stream.next();
    if (chunk !== null) text += chunk;
    return chunk !== null;
  };
  return {
    async until(want) {
      while (!text.includes(want)) assert.ok(await more(), `ended before ${JSON.stringify(want)}: ${JSON.stringify(text)}`);
    },
    async rest() {
      while (await more());
      return text;
    },
  };
}

// finish reads both streams to their ends, and the result.
async function finish(execution, out, err) {
  out ??= reader(await execution.stdout());
  err ??= reader(await execution.stderr());
  const [stdout, stderr] = await Promise.all([out.rest(), err.rest()]);
  return { stdout, stderr, ...(await execution.wait()) };
}

const run = async (script, options) => finish(await sh(script, options));

// same compares a whole result. A client that made up the code has put its reason in errorMessage.
function same(result, { stdout = "", stderr = "", exitCode = 0 }) {
  assert.deepEqual({ ...result, errorMessage: result.errorMessage ?? null }, { stdout, stderr, exitCode, errorMessage: null });
}

async function refused(promise, prefix) {
  const error = await promise.then(
    () => assert.fail(`accepted; want an error that begins with ${JSON.stringify(prefix)}`),
    (e) => e,
  );
  if (error instanceof assert.AssertionError) throw error;
  assert.ok(error.message.startsWith(prefix), `want ${JSON.stringify(prefix)}…, got ${JSON.stringify(error.message)}`);
}

async function reaches(status) {
  let info;
  for (const end = Date.now() + patience; Date.now() < end; await sleep(10)) {
    info = await rt.getInfo(box.id);
    if (info?.state.status === status) return info;
  }
  assert.fail(`still not ${status}: ${JSON.stringify(info)}`);
}

const listed = async (runtime, id) => (await runtime.listInfo()).some((b) => b.id === id);

const checks = {
  async create() {
    box = await rt.create({ image, cpus: 2, memoryMib: 512, env: [{ key: "OF_BOX", value: "outer" }] }, name);
    assert.match(box.id, /^[0-9A-Za-z]{12}$/);
    assert.equal(box.name, name);
  },
  async "get info"() {
    for (const ref of [box.id, name]) {
      const info = await rt.getInfo(ref);
      assert.deepEqual(
        [info.id, info.name, info.image, info.cpus, info.memoryMib, info.state.status, info.state.running],
        [box.id, name, image, 2, 512, "running", true],
      );
      assert.ok(Math.abs(Date.now() - Date.parse(info.createdAt)) < 60_000, `created at ${info.createdAt}`);
    }
    assert.equal((await box.info()).id, box.id);
    assert.equal((await rt.get(name)).id, box.id);
  },
  async "list info"() {
    const found = (await rt.listInfo()).filter((b) => b.id === box.id);
    assert.deepEqual(found.map((b) => [b.name, b.state.status]), [[name, "running"]]);
  },
  async "path prefix"() {
    assert.ok(await listed(connect(key, prefix), box.id));
    await refused(connect(otherKey, prefix).listInfo(), "configuration error: auth: ");
  },
  async "get or create"() {
    const { created, box: found } = await rt.getOrCreate({ image }, name);
    assert.deepEqual([created, found.id], [false, box.id]);
  },
  async "duplicate name"() {
    await refused(rt.create({ image }, name), "already exists: ");
  },
  async "invalid size"() {
    await refused(rt.create({ image, cpus: 255 }), "invalid argument: ");
  },
  async "unknown box"() {
    assert.equal(await rt.getInfo("no-such-box"), null);
    assert.equal(await rt.get("no-such-box"), null);
    await refused(rt.remove("no-such-box", true), "box not found: ");
  },
  async "wrong key"() {
    await refused(connect("blk_live_wrong").listInfo(), "configuration error: auth: ");
  },
  async "second tenant"() {
    const other = connect(otherKey);
    for (const ref of [box.id, name]) {
      assert.equal(await other.getInfo(ref), null);
      await refused(other.remove(ref, true), "box not found: ");
    }
    assert.deepEqual(await other.listInfo(), []);
    const own = await other.create({ image }, name); // names belong to a tenant
    assert.notEqual(own.id, box.id);
    await other.remove(own.id, true);
    assert.notEqual(await rt.getInfo(box.id), null);
  },

  async "short commands"() {
    for (let i = 0; i < 30; i++) same(await run('echo "line $1"', { args: [`${i}`] }), { stdout: `line ${i}\n` });
  },
  async "commands at once"() {
    const numbers = [...Array(8).keys()];
    const results = await Promise.all(numbers.map((i) => run('echo "line $1"; exit "$1"', { args: [`${i}`] })));
    for (const i of numbers) same(results[i], { stdout: `line ${i}\n`, exitCode: i });
  },
  async "standard error"() {
    same(await run("echo out; echo err >&2"), { stdout: "out\n", stderr: "err\n" });
  },
  async "exit codes"() {
    for (const exitCode of [0, 1, 42, 126, 255]) same(await run('exit "$1"', { args: [`${exitCode}`] }), { exitCode });
  },
  async "environment and directory"() {
    same(await run('echo "$GREETING $OF_BOX"; pwd', { env: [["GREETING", "grüße"]], cwd: "/tmp" }), {
      stdout: "grüße outer\n/tmp\n",
    });
  },
  async "standard input"() {
    const execution = await sh("cat; echo done");
    const input = await execution.stdin();
    await input.writeString("hello ");
    await input.write(Buffer.from("vm\n"));
    await input.close();
    same(await finish(execution), { stdout: "hello vm\ndone\n" });
  },
  async "large output"() {
    const size = 200 * 1024;
    const { stdout, ...rest } = await run('seq 10000 99999 | head -c "$1"', { args: [`${size}`] });
    const numbers = Array.from({ length: 90_000 }, (_, i) => 10_000 + i);
    assert.equal(stdout.length, size);
    assert.ok(stdout === (numbers.join("\n") + "\n").slice(0, size), "other bytes");
    same({ stdout: "", ...rest }, {});
  },
  async terminal() {
    const execution = await sh('tty; while read -r x; do stty size; [ "$x" = end ] && exit 3; done', { tty: true });
    const out = reader(await execution.stdout());
    await out.until("/dev/pts/");
    const input = await execution.stdin();
    for (const [rows, cols, line] of [[40, 120, "go"], [51, 77, "end"]]) {
      await execution.resizeTty(rows, cols);
      await input.writeString(`${line}\n`);
      await out.until(`${rows} ${cols}\r\n`);
    }
    const { exitCode, errorMessage, stderr } = await finish(execution, out);
    same({ stdout: "", stderr, exitCode, errorMessage }, { exitCode: 3 });
  },
  async "no terminal"() {
    const execution = await sh("read -r x");
    await refused(execution.resizeTty(40, 120), "invalid argument: ");
    await (await execution.stdin()).close();
    same(await finish(execution), { exitCode: 1 });
  },
  async signal() {
    const caught = await sh("trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.05; done");
    const out = reader(await caught.stdout());
    await out.until("ready\n");
    await caught.signal(15);
    same(await finish(caught, out), { stdout: "ready\ncaught\n", exitCode: 7 });

    const deadly = await sh("echo ready; exec sleep 100");
    const dying = reader(await deadly.stdout());
    await dying.until("ready\n");
    await deadly.signal(15);
    same(await finish(deadly, dying), { stdout: "ready\n", exitCode: 128 + 15 });
    await refused(deadly.signal(15), "invalid state: ");
  },
  async "forbidden signal"() {
    const execution = await sh("read -r x");
    await refused(execution.signal(9), "invalid argument: ");
    await (await execution.stdin()).close();
    same(await finish(execution), { exitCode: 1 });
  },
  async kill() {
    const execution = await sh("echo ready; sleep 100");
    const out = reader(await execution.stdout());
    await out.until("ready\n");
    await execution.kill();
    same(await finish(execution, out), { stdout: "ready\n", exitCode: 128 + 9 });
  },
  async "time limit"() {
    const { exitCode, ...rest } = await run("echo ready; exec sleep 100", { limit: 0.5 });
    assert.ok(exitCode === 128 + 15 || exitCode === 128 + 9, `exit code ${exitCode}`);
    same({ exitCode: 0, ...rest }, { stdout: "ready\n" });
  },
  async "missing command"() {
    await refused(box.exec("/no/such/command"), "Execution error: ");
    await refused(sh("true", { cwd: "/no/such/directory" }), "Execution error: ");
  },
  async metrics() {
    const ofBox = await box.metrics();
    assert.ok(ofBox.commandsExecutedTotal >= 30, JSON.stringify(ofBox));
    assert.ok(ofBox.execErrorsTotal >= 1, JSON.stringify(ofBox));
    assert.ok(ofBox.memoryBytes > 0, JSON.stringify(ofBox));
    const ofAll = await rt.metrics();
    assert.ok(ofAll.boxesCreatedTotal >= 1 && ofAll.totalCommandsExecuted >= 30, JSON.stringify(ofAll));
    assert.equal(ofAll.numRunningBoxes, 1, JSON.stringify(ofAll));
  },
  async "simple box"() {
    const simple = new SimpleBox({ runtime: rt, image, name: "simple-box", autoRemove: false });
    try {
      assert.deepEqual(await simple.exec("sh", "-c", 'echo "$V"; echo err >&2; exit 5', { V: "value" }), {
        exitCode: 5,
        stdout: "value\n",
        stderr: "err\n",
      });
    } finally {
      await rt.remove("simple-box", true);
    }
  },

  async stop() {
    same(await run("echo kept >/root/kept; sync"), {});
    const execution = await sh("echo ready; exec sleep 100");
    const out = reader(await execution.stdout());
    await out.until("ready\n");
    await box.stop();
    assert.equal((await reaches("stopped")).state.running, false);
    const { exitCode, ...rest } = await finish(execution, out); // ends with its box
    assert.ok(exitCode === 128 + 15 || exitCode === 128 + 9, `exit code ${exitCode}`);
    same({ exitCode: 0, ...rest }, { stdout: "ready\n" });
  },
  async "stop again"() {
    await refused(box.stop(), "invalid state: ");
  },
  async "command on stopped box"() {
    await refused(sh("true"), "stopped: ");
  },
  async "metrics of stopped box"() {
    await refused(box.metrics(), "stopped: ");
  },
  async start() {
    await box.start();
    await reaches("running");
    await box.start(); // no change, no error
    same(await run("cat /root/kept"), { stdout: "kept\n" });
  },
  async remove() {
    await rt.remove(box.id, true);
    assert.equal(await rt.getInfo(box.id), null);
    assert.equal(await rt.getInfo(name), null);
    assert.equal(await listed(rt, box.id), false);
  },
  async "command on removed box"() {
    await refused(sh("true"), "box not found: ");
    await refused(rt.remove(box.id, true), "box not found: ");
  },
  async "name again"() {
    const next = await rt.create({ image }, name);
    assert.notEqual(next.id, box.id);
    await rt.remove(name);
    assert.equal(await rt.getInfo(next.id), null);
  },
};

// A client that waits for ever must not take the other checks with it.
const bounded = async (check) => {
  const late = new AbortController();
  try {
    return await Promise.race([
      check(),
      sleep(patience, null, { signal: late.signal }).then(() => assert.fail(`not done after ${patience} ms`)),
    ]);
  } finally {
    late.abort();
  }
};

for (const [name, check] of Object.entries(checks)) {
  const begun = performance.now();
  let failure;
  try {
    await bounded(check);
  } catch (e) {
    failure = e;
  }
  const detail = failure ? failure.stack ?? `${failure}` : `${Math.round(performance.now() - begun)} ms`;
  process.stdout.write(JSON.stringify({ name, ok: !failure, detail }) + "\n");
}
process.exit(0); // whatever a failed check may still wait for
