package campaign_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/cmd/internal/campaign"
	"chaos/model"
	"chaos/model/gen"
	"chaos/model/plantext"
	"chaos/stack/embedded"
)

// BenchmarkCampaign tells how many plans and steps a second one worker performs, journal and
// leftovers included.
func BenchmarkCampaign(b *testing.B) {
	rig, _ := benchRig(b)
	g := gen.Plans(actions.Drawables(), gen.Config{})
	steps, i := 0, 0
	for b.Loop() {
		p := gen.At(g, campaign.PlanSeed(1, i))
		_, _, err := rig.Perform(b.Context(), p, 0)
		require.NoError(b, err)
		steps += len(p.Steps)
		i++
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "plans/s")
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}

// BenchmarkProxy performs the same plans by turns on a stack with the message scheduler in between,
// where nothing is held, and on one without. The ratio of steps a second is what it costs to be there.
func BenchmarkProxy(b *testing.B) {
	direct, _ := benchRig(b)
	proxied, _ := benchRigWith(b, embedded.Options{Schedule: true})
	g := gen.Plans(actions.Drawables(), gen.Config{})
	var took [2]time.Duration
	i := 0
	for b.Loop() {
		p := gen.At(g, campaign.PlanSeed(1, i))
		for side, rig := range []*campaign.Rig{direct, proxied} {
			began := time.Now()
			_, _, err := rig.Perform(b.Context(), p, 0)
			require.NoError(b, err)
			took[side] += time.Since(began)
		}
		i++
	}
	b.ReportMetric(float64(took[0])/float64(took[1]), "steps/s-with/without")
}

// looks is how many requests the comparison sends each way.
const looks = 200

// BenchmarkEngineOverBareLoop sends the same requests twice, by turns in one run: as the steps of a
// plan, and as a bare resty loop. The ratio is what recording, waiting and scheduling cost a step;
// what a plan does before and after its steps is left out of it.
func BenchmarkEngineOverBareLoop(b *testing.B) {
	rig, s := benchRig(b)
	text := "a: b1 = create\n"
	for range looks {
		text += "a: get b1\n"
	}
	plan, err := plantext.Parse(text, actions.Vocabulary{})
	require.NoError(b, err)
	rest := resty.NewWithClient(&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}).SetAuthToken(s.Key())
	var engine, bare time.Duration
	rounds := 0
	for b.Loop() {
		h, v, err := rig.Perform(b.Context(), plan, 0)
		require.NoError(b, err)
		require.Equal(b, model.Pass, v.Status)
		engine += timeOfLooks(h)
		bare += bareLoop(b, rest, s.URL(), rounds)
		rounds++
	}
	b.ReportMetric(float64(engine.Microseconds())/float64(rounds*looks), "engine-µs/step")
	b.ReportMetric(float64(bare.Microseconds())/float64(rounds*looks), "bare-µs/request")
	b.ReportMetric(float64(engine)/float64(bare), "engine/bare")
}

// timeOfLooks is the time from the first step after the create to the end of the last step.
func timeOfLooks(h *model.History) time.Duration {
	var first, last int64
	for _, c := range h.Calls {
		if c.Op == model.OpGet && c.Step >= 0 {
			if first == 0 {
				first = c.Invoke
			}
			last = c.Return
		}
	}
	return time.Duration(last - first)
}

func bareLoop(b *testing.B, rest *resty.Client, url string, round int) time.Duration {
	var box struct {
		ID string `json:"box_id"`
	}
	res, err := rest.R().SetBody(map[string]string{"image": "alpine:latest", "name": fmt.Sprintf("bare-%d", round)}).SetResult(&box).Post(url + "/v1/boxes")
	require.NoError(b, err)
	require.Equal(b, http.StatusCreated, res.StatusCode())
	began := time.Now()
	for range looks {
		res, err := rest.R().Get(url + "/v1/boxes/" + box.ID)
		if err != nil || res.StatusCode() != http.StatusOK {
			b.Fatal(err, res.StatusCode())
		}
	}
	took := time.Since(began)
	_, err = rest.R().Delete(url + "/v1/boxes/" + box.ID)
	require.NoError(b, err)
	return took
}

func benchRig(b *testing.B) (*campaign.Rig, *embedded.Stack) {
	b.Helper()
	return benchRigWith(b, embedded.Options{})
}

func benchRigWith(b *testing.B, o embedded.Options) (*campaign.Rig, *embedded.Stack) {
	b.Helper()
	s, err := embedded.Start(b.Context(), o)
	require.NoError(b, err)
	target := embedded.NewTarget(s)
	rig, err := campaign.NewRig(target)
	require.NoError(b, err)
	b.Cleanup(func() {
		rig.Close()
		target.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(b, s.Stop(ctx))
	})
	return rig, s
}
