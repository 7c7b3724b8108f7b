package runner

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/sandbox"
)

func TestLifeOfABox(t *testing.T) {
	h := start(t)
	const id = "LifeOfABox01"
	created := h.mustJob("CREATE_BOX", id, payload{Image: "alpine:3.23"})
	require.Len(t, created.CoreID, 12)
	require.NotEqual(t, id, created.CoreID)
	require.DirExists(t, filepath.Join(h.dir, "boxes", id))

	write := `for d in /root /home /workspace /var/lib /srv /tmp; do echo kept > $d/file; done`
	if boxMode() == sandbox.Plain {
		t.Skip("without isolation a box writes to the machine's directories")
	}
	clean(t, h.run(id, sh(write)), 0)
	running := h.exec(id, sh("sleep 60"))

	h.mustJob("STOP_BOX", id)
	require.Equal(t, 137, h.ended(id, running))
	status, text := h.tryExec(id, sh("true"))
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, errorOf("stopped: box "+id+" is not running"), text)

	h.mustJob("START_BOX", id)
	s := h.run(id, sh(`cat /root/file /home/file /workspace/file /var/lib/file /srv/file; cat /tmp/file`))
	clean(t, s, 1)
	require.Equal(t, strings.Repeat("kept\n", 5), string(s.out))

	h.mustJob("DESTROY_BOX", id)
	status, text = h.tryExec(id, sh("true"))
	require.Equal(t, http.StatusNotFound, status)
	require.Equal(t, errorOf("box not found: "+id), text)
	status, _ = h.call("GET", execPath(id, running), nil)
	require.Equal(t, http.StatusNotFound, status)
	require.NoDirExists(t, filepath.Join(h.dir, "boxes", id))

	lines := h.lines()
	for _, want := range []string{
		"Executing job job_id=job-1 job_type=CREATE_BOX resource_type=box resource_id=" + id,
		"created box id=" + created.CoreID + " name=" + id + " image=alpine:3.23",
		"Job completed successfully job_id=job-1 job_type=CREATE_BOX resource_type=box resource_id=" + id,
		"exec started box_id=" + id + " execution_id=" + running,
		"exec finished box_id=" + id + " execution_id=" + running + " exit_code=137",
		"Job completed successfully job_id=job-4 job_type=DESTROY_BOX resource_type=box resource_id=" + id,
	} {
		require.Equal(t, 1, count(lines, want), "%q in\n%s", want, strings.Join(lines, "\n"))
	}
}

func count(list []string, want string) (n int) {
	for _, s := range list {
		if s == want {
			n++
		}
	}
	return n
}

func TestJobsCanBeRepeated(t *testing.T) {
	h := start(t)
	const id = "Repeated0001"
	first := h.mustJob("CREATE_BOX", id)
	e := h.exec(id, sh("sleep 60"))
	require.Equal(t, first.CoreID, h.mustJob("CREATE_BOX", id).CoreID)
	h.mustJob("START_BOX", id)
	require.Equal(t, "running", h.info(id, e).Status, "the box must not have been restarted")
	h.mustJob("STOP_BOX", id)
	h.mustJob("STOP_BOX", id)
	h.mustJob("START_BOX", id)
	h.mustJob("DESTROY_BOX", id)
	h.mustJob("DESTROY_BOX", id)
	h.mustJob("CREATE_BOX", id)
	clean(t, h.run(id, sh("true")), 0)
}

func TestJobsThatFail(t *testing.T) {
	h := start(t)
	for _, c := range []struct {
		kind, id, want string
		p              payload
	}{
		{kind: "START_BOX", id: "nobox", want: "box not found: nobox"},
		{kind: "STOP_BOX", id: "nobox", want: "box not found: nobox"},
		{kind: "CREATE_BOX", id: "../up", want: `invalid argument: box id "../up"`},
		{kind: "CREATE_BOX", id: "", want: `invalid argument: box id ""`},
		{kind: "CREATE_BOX", id: "badwd", p: payload{WorkingDir: "/dev/null/x"}, want: `create working directory "/dev/null/x": exit code 1`},
	} {
		if c.id == "badwd" && boxMode() == sandbox.Plain {
			continue // there it is a directory of the box
		}
		got := h.job(c.kind, c.id, c.p)
		require.Equal(t, completion{Status: "failed", Error: c.want}, got)
	}
	h.mustJob("CREATE_BOX", "good")
	got := h.job("PAINT_BOX", "good")
	require.Equal(t, `unsupported job type "PAINT_BOX"`, got.Error)
	left, err := os.ReadDir(filepath.Join(h.dir, "boxes"))
	require.NoError(t, err)
	require.Len(t, left, 1, "a failed create must leave nothing")
	require.Contains(t, strings.Join(h.lines(), "\n"), `Job failed job_id=job-1 job_type=START_BOX resource_type=box resource_id=nobox error="box not found: nobox"`)
}

// A lost completion is sent again; a job that is handed out twice is done once.
func TestCompletionsArriveAndJobsAreDoneOnce(t *testing.T) {
	h := start(t)
	h.api.mu.Lock()
	h.api.failNext = 3
	h.api.mu.Unlock()
	h.mustJob("CREATE_BOX", "once")

	h.api.mu.Lock()
	h.api.failNext = 5 // keeps the job known while it comes again
	h.api.mu.Unlock()
	j := job{ID: "twice", Type: "STOP_BOX", ResourceID: "once"}
	done := h.api.submit(j, j)[0]
	require.Equal(t, "completed", receive(t, done).Status)
	h.mustJob("START_BOX", "once")
	require.Equal(t, 1, count(h.lines(), "Executing job job_id=twice job_type=STOP_BOX resource_type=box resource_id=once"))
	require.Empty(t, done)
}

// Jobs of one box are done in order, those of different boxes do not wait for each other.
func TestJobsOfOneBoxAreInOrder(t *testing.T) {
	h := start(t)
	var jobs []job
	for i := range 8 {
		id := fmt.Sprintf("Order%d", i)
		for _, kind := range []string{"CREATE_BOX", "STOP_BOX", "START_BOX", "STOP_BOX", "DESTROY_BOX", "CREATE_BOX"} {
			jobs = append(jobs, job{Type: kind, ResourceID: id})
		}
	}
	for _, done := range h.api.submit(jobs...) {
		require.Equal(t, "completed", receive(t, done).Status)
	}
	for i := range 8 {
		clean(t, h.run(fmt.Sprintf("Order%d", i), sh("true")), 0)
	}
	var of0 []string
	for _, l := range h.lines() {
		if strings.HasPrefix(l, "Executing job") && strings.HasSuffix(l, "resource_id=Order0") {
			of0 = append(of0, strings.Fields(l)[3])
		}
	}
	require.Equal(t, []string{"job_type=CREATE_BOX", "job_type=STOP_BOX", "job_type=START_BOX", "job_type=STOP_BOX",
		"job_type=DESTROY_BOX", "job_type=CREATE_BOX"}, of0)
}

func TestSyncReportsWhatIsThere(t *testing.T) {
	h := start(t)
	a, b := h.box(), h.box()
	reported := func(want ...boxReport) func() bool {
		return func() bool {
			h.api.mu.Lock()
			defer h.api.mu.Unlock()
			if len(h.api.reports) == 0 {
				return false
			}
			last := slices.Clone(h.api.reports[len(h.api.reports)-1])
			slices.SortFunc(last, func(x, y boxReport) int { return strings.Compare(x.ID, y.ID) })
			return slices.Equal(last, want)
		}
	}
	require.Eventually(t, reported(boxReport{a, "running"}, boxReport{b, "running"}), deadline, time.Millisecond)
	h.mustJob("STOP_BOX", a)
	require.Eventually(t, reported(boxReport{a, "stopped"}, boxReport{b, "running"}), deadline, time.Millisecond)

	// A box that dies by itself is a stopped box: it says so, ends its executions and can be started.
	e := h.exec(b, sh("sleep 60"))
	bx, err := h.r.box(b)
	require.NoError(t, err)
	require.NoError(t, bx.current().sb.Kill())
	require.Eventually(t, reported(boxReport{a, "stopped"}, boxReport{b, "stopped"}), deadline, time.Millisecond)
	require.Equal(t, 137, h.ended(b, e))
	status, _ := h.tryExec(b, sh("true"))
	require.Equal(t, http.StatusConflict, status)
	h.mustJob("START_BOX", b)
	clean(t, h.run(b, sh("true")), 0)

	h.mustJob("DESTROY_BOX", a)
	require.Eventually(t, reported(boxReport{b, "running"}), deadline, time.Millisecond)

	h.api.mu.Lock()
	defer h.api.mu.Unlock()
	require.True(t, slices.IsSorted(h.api.echoed))
	require.Greater(t, h.api.echoed[len(h.api.echoed)-1], int64(100))
	require.LessOrEqual(t, h.api.echoed[len(h.api.echoed)-1], h.api.epoch)
	require.Equal(t, "http://"+h.addr, h.api.runnerURL)
}

// An exec that meets a stop or a destroy is refused, or it is there and has ended when the job is
// done. Nothing hangs, nothing is a server error, and after the job nothing starts any more.
func TestExecMeetsStop(t *testing.T) {
	h := start(t)
	rounds := 200
	if raceDetector || boxMode() == sandbox.Plain {
		rounds = 60 // a box takes longer to start, or to end
	}
	for round := range rounds {
		kind := []string{"STOP_BOX", "DESTROY_BOX"}[round%2]
		box := fmt.Sprintf("Race%d", round)
		h.mustJob("CREATE_BOX", box)
		ids := h.execsDuring(kind, box)
		status, text := h.tryExec(box, sh("true"))
		require.Equal(t, map[string]int{"STOP_BOX": 409, "DESTROY_BOX": 404}[kind], status, text)
		for _, id := range ids {
			status, text := h.call("GET", execPath(box, id), nil)
			if kind == "DESTROY_BOX" {
				require.Equal(t, http.StatusNotFound, status, text)
				continue
			}
			require.Contains(t, text, `"status":"completed","exit_code":137`)
		}
		if kind == "STOP_BOX" {
			h.mustJob("DESTROY_BOX", box)
		}
	}
}

// execsDuring starts commands before and while the job runs, and returns the ids of those that were
// accepted once all is done.
func (h *harness) execsDuring(kind, box string) (ids []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	accepted := make(chan struct{})
	first := sync.OnceFunc(func() { close(accepted) })
	for range 3 {
		wg.Go(func() {
			for {
				status, id := h.tryExec(box, sh("sleep 60"))
				if status != http.StatusCreated {
					if status != http.StatusConflict && status != http.StatusNotFound {
						h.t.Errorf("exec during %s: %d %s", kind, status, id)
					}
					return
				}
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
				first()
			}
		})
	}
	receive(h.t, accepted)
	h.mustJob(kind, box)
	wg.Wait()
	return ids
}
