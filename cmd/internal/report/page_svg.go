package report

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"chaos/cmd/internal/campaign"
)

// Sizes of a drawing, in pixels.
const (
	drawWidth = 1000
	laneLeft  = 84 // where the clocks begin; names of lanes stand before it
	rowHeight = 22
	laneGap   = 8
	axis      = 24
	charWidth = 6.3 // of the small type, generously
)

// Drawing is a timeline laid out.
type Drawing struct {
	Width, Height int
	Ticks         []drawnTick
	Lanes         []drawnLane
	Bands         []drawnBand
}

type drawnTick struct {
	X    float64
	Text string
}

type drawnLane struct {
	Name     string
	Y, H     int
	Bars     []drawnBar
	Marks    []drawnMark
	Messages bool
}

type drawnBar struct {
	X, W, TextX float64
	Y           int
	Anchor      string
	Ticks       []float64
	Bar
}

type drawnMark struct {
	X, TextX float64
	Y        int
	Anchor   string
	Mark
}

type drawnBand struct {
	X, W  float64
	Label string
	Title string
}

// Draw lays t out: nothing overlaps, labels included.
func (t *Timeline) Draw() Drawing {
	d := Drawing{Width: drawWidth}
	span := float64(max(1, t.To-t.From))
	x := func(at int64) float64 {
		at = min(max(at, t.From), t.To)
		return math.Round(10*(laneLeft+float64(at-t.From)/span*(drawWidth-laneLeft-8))) / 10
	}
	for _, f := range t.Faults {
		d.Bands = append(d.Bands, drawnBand{x(f.From), max(3, x(f.To)-x(f.From)), f.Label, f.Title})
	}
	for ms := nice(span / 1e6 / 8); float64(len(d.Ticks))*ms*1e6 <= 0.95*span; {
		at := float64(len(d.Ticks)) * ms * 1e6
		d.Ticks = append(d.Ticks, drawnTick{x(t.From + int64(at)), fmt.Sprintf("%g ms", math.Round(at/1e4)/100)})
	}
	y := axis
	if len(d.Bands) > 0 {
		y += rowHeight
	}
	var names []string
	byLane := map[string][]Bar{}
	for _, b := range t.Bars {
		if byLane[b.Lane] == nil {
			names = append(names, b.Lane)
		}
		byLane[b.Lane] = append(byLane[b.Lane], b)
	}
	for _, name := range lanesInOrder(names) {
		lane, rows := drawnLane{Name: name, Y: y}, rows{}
		for _, b := range byLane[name] {
			e := drawnBar{X: x(b.From), W: max(3, x(b.To)-x(b.From)), Bar: b}
			row := 0
			row, e.TextX, e.Anchor = rows.place(e.X, e.W, b.Label)
			e.Y = y + row*rowHeight
			for _, at := range b.Ticks {
				e.Ticks = append(e.Ticks, x(at))
			}
			lane.Bars = append(lane.Bars, e)
		}
		y = d.add(lane, len(rows), y)
	}
	for _, l := range []struct {
		name  string
		marks []Mark
	}{{"messages", t.Sent}, {"journal", t.Log}} {
		lane, rows := drawnLane{Name: l.name, Y: y, Messages: l.name == "messages"}, rows{}
		for _, m := range l.marks {
			e := drawnMark{X: x(m.At), Mark: m}
			row := 0
			row, e.TextX, e.Anchor = rows.place(e.X, 6, m.Label)
			e.Y = y + row*rowHeight
			lane.Marks = append(lane.Marks, e)
		}
		if len(l.marks) > 0 {
			y = d.add(lane, len(rows), y)
		}
	}
	d.Height = y
	return d
}

func (d *Drawing) add(l drawnLane, rows, y int) int {
	l.H = rows*rowHeight + laneGap/2
	d.Lanes = append(d.Lanes, l)
	return y + rows*rowHeight + laneGap
}

// lanesInOrder puts the harness last.
func lanesInOrder(names []string) []string {
	var out []string
	late := false
	for _, n := range names {
		if n == "chaos" {
			late = true
			continue
		}
		out = append(out, n)
	}
	if late {
		out = append(out, "chaos")
	}
	return out
}

// rows is how far each row of a lane is taken.
type rows []float64

// place finds the first row where a bar with its label fits, in it or beside it. Bars come in order of their beginning.
func (r *rows) place(x, w float64, label string) (row int, textX float64, anchor string) {
	text := charWidth*float64(utf8.RuneCountInString(label)) + 10
	from, to := x, x+w
	textX, anchor = x+4, "start"
	switch {
	case text <= w: // inside
	case x+w+text <= drawWidth:
		textX, to = x+w+4, x+w+text
	default: // at the right edge it stands before the bar
		textX, anchor, from = x-4, "end", x-text
	}
	for i, end := range *r {
		if end <= from {
			(*r)[i] = to + 3
			return i, textX, anchor
		}
	}
	*r = append(*r, to+3)
	return len(*r) - 1, textX, anchor
}

// nice returns the round number next above x: 1, 2 or 5 and zeros.
func nice(x float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(max(x, 1e-6))))
	for _, m := range []float64{1, 2, 5} {
		if m*base >= x {
			return m * base
		}
	}
	return 10 * base
}

// Chart is a series drawn as lines.
type Chart struct {
	Title, Top, End string
	Lines           []chartLine
	Bands           []drawnBand
}

type chartLine struct{ Name, Class, Path, Last string }

// Sizes of a chart, in pixels.
const (
	chartWidth  = 480
	chartHeight = 110
)

// Charts draws how fast the stack answered in the course of the run.
func (p *Page) Charts() []Chart {
	s := &p.Series
	if len(s.Slots) < 2 {
		return nil
	}
	n := len(s.Slots)
	rate, p50, p95 := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range s.Slots {
		rate[i] = float64(s.Slots[i].Calls) / s.Width.Seconds()
		p50[i] = s.Slots[i].Quantile(0.5).Seconds() * 1000
		p95[i] = s.Slots[i].Quantile(0.95).Seconds() * 1000
	}
	throughput := Chart{Title: "Answered calls per second", Lines: []chartLine{{Name: "calls/s", Class: "l1"}}}
	latency := Chart{Title: "Time to an answer (sessions not counted)", Lines: []chartLine{{Name: "p50", Class: "l1"}, {Name: "p95", Class: "l2"}}}
	throughput.draw(s, "%.3g/s", rate)
	latency.draw(s, "%.3g ms", p50, p95)
	return []Chart{throughput, latency}
}

func (c *Chart) draw(s *campaign.Series, format string, values ...[]float64) {
	highest := 0.0
	for _, line := range values {
		for _, v := range line {
			highest = max(highest, v)
		}
	}
	limit := nice(max(highest, 1e-3))
	span := time.Duration(len(s.Slots)) * s.Width
	x := func(at time.Duration) float64 { return chartWidth * at.Seconds() / span.Seconds() }
	c.Top, c.End = fmt.Sprintf(format, limit), Clock(span)
	for k, line := range values {
		path, pen := "", "M"
		for i, v := range line {
			if s.Slots[i].Calls == 0 {
				pen = "M" // nothing was searched then
				continue
			}
			at := x(time.Duration(i)*s.Width + s.Width/2)
			path += fmt.Sprintf("%s%.1f %.1f", pen, at, chartHeight*(1-v/limit))
			if pen == "M" {
				path += "h0.1" // a single point shows
			}
			pen = "L"
		}
		c.Lines[k].Path = path
	}
	for _, f := range s.Faults {
		from := max(0, f.From)
		c.Bands = append(c.Bands, drawnBand{x(from), max(2, x(f.To)-x(from)), f.Name, f.Name})
	}
}
