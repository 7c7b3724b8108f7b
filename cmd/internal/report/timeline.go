package report

import (
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"

	"chaos/model"
)

// Measures of a timeline, in SVG units.
const (
	laneHeight  = 26.0
	laneLabel   = 74.0
	laneWidth   = 900.0
	mostCalls   = 160 // more cannot be read
	mostLines   = 60
	shortestBar = 3.0
)

// timeline draws the part of the finding's history that it is about: the calls on its boxes, each
// client a lane, frames as ticks, faults as bands, and the lines of the log on a lane of their own.
func timeline(f PageFinding) template.HTML {
	if f.History == nil {
		return ""
	}
	calls, marked := window(f)
	if len(calls) == 0 {
		return ""
	}
	d := newDrawing(f.History, calls, marked)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="timeline" viewBox="0 0 %.0f %.0f" role="img" aria-label="timeline">`, laneLabel+laneWidth+10, d.height())
	d.faults(&b)
	for i, name := range d.lanes {
		y := d.y(i)
		fmt.Fprintf(&b, `<text class="lane" x="0" y="%.1f">%s</text><line class="rule" x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f"/>`,
			y+17, html.EscapeString(name), laneLabel, laneLabel+laneWidth, y+laneHeight, y+laneHeight)
	}
	for _, c := range calls {
		d.call(&b, c)
	}
	d.messages(&b)
	d.log(&b)
	d.axis(&b)
	b.WriteString("</svg>")
	return template.HTML(b.String()) // every text in it is escaped
}

// window returns the calls that the finding is about, and which of them show it.
func window(f PageFinding) (calls []*model.Call, marked map[int]bool) {
	marked = map[int]bool{}
	boxes := map[model.Ref]bool{}
	h := f.History
	for i := range h.Calls {
		c := &h.Calls[i]
		if f.Violation != nil && slices.Contains(f.Violation.Calls, c.ID) {
			marked[c.ID] = true
			boxes[c.Box] = true
		}
	}
	for i := range h.Calls {
		c := &h.Calls[i]
		if marked[c.ID] || c.Step >= 0 && (len(boxes) == 0 || boxes[c.Box] || c.Box == "") {
			calls = append(calls, c)
		}
	}
	if len(calls) > mostCalls {
		calls = slices.DeleteFunc(calls, func(c *model.Call) bool { return !marked[c.ID] && c.ID%(len(calls)/mostCalls+1) != 0 })
	}
	return calls, marked
}

type drawing struct {
	h        *model.History
	marked   map[int]bool
	lanes    []string
	from, to int64
}

// final is the lane of what the harness looks at once the clients are done.
const final, logLane = "final", "log"

func newDrawing(h *model.History, calls []*model.Call, marked map[int]bool) *drawing {
	d := &drawing{h: h, marked: marked, from: calls[0].Invoke, to: calls[0].Return}
	for _, c := range calls {
		d.from, d.to = min(d.from, c.Invoke), max(d.to, c.Return)
		if l := laneOf(c); !slices.Contains(d.lanes, l) {
			d.lanes = append(d.lanes, l)
		}
	}
	slices.SortFunc(d.lanes, func(a, b string) int {
		if (a == final) != (b == final) {
			return map[bool]int{true: 1, false: -1}[a == final]
		}
		return strings.Compare(a, b)
	})
	if len(h.Journal.Entries) > 0 {
		d.lanes = append(d.lanes, logLane)
	}
	if d.to == d.from {
		d.to++
	}
	return d
}

func laneOf(c *model.Call) string {
	if c.Client == "" {
		return final
	}
	return c.Client
}

func (d *drawing) height() float64 { return float64(len(d.lanes))*laneHeight + 34 }

func (d *drawing) y(lane int) float64 { return 8 + float64(lane)*laneHeight }

func (d *drawing) x(at int64) float64 {
	at = min(max(at, d.from), d.to)
	return laneLabel + laneWidth*float64(at-d.from)/float64(d.to-d.from)
}

func (d *drawing) call(b *strings.Builder, c *model.Call) {
	y, x := d.y(slices.Index(d.lanes, laneOf(c))), d.x(c.Invoke)
	width := max(d.x(c.Return)-x, shortestBar)
	class := "ok"
	switch {
	case d.marked[c.ID]:
		class = "bad"
	case c.Outcome == model.Unknown:
		class = "unknown"
	case c.Outcome == model.Rejected:
		class = "refused"
	}
	on := string(c.Exec)
	if on == "" {
		on = string(c.Box)
	}
	label := strings.TrimSpace(c.Op + " " + on)
	status := "no answer"
	if c.Status != 0 {
		status = fmt.Sprint(c.Status)
	}
	fmt.Fprintf(b, `<g class="call %s"><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="3"/>`, class,
		html.EscapeString(fmt.Sprintf("call %d, line %d: %s → %s\n%s to %s", c.ID, c.Step+1, label, status, moment(c.Invoke), moment(c.Return))), x, y+3, width, laneHeight-8)
	if width > float64(7*len(label)) {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f">%s</text>`, x+4, y+16, html.EscapeString(label))
	}
	if c.Attach != nil {
		for _, f := range c.Attach.Frames {
			fmt.Fprintf(b, `<line class="frame %s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"><title>%s</title></line>`, html.EscapeString(f.Kind), d.x(f.At), d.x(f.At), y+3, y+laneHeight-5,
				html.EscapeString(fmt.Sprintf("%s frame at %s, %d bytes", f.Kind, moment(f.At), len(f.Data))))
		}
	}
	b.WriteString("</g>")
}

// moment is a moment for people.
func moment(ns int64) string { return fmt.Sprintf("%.1f ms", float64(ns)/1e6) }

func (d *drawing) faults(b *strings.Builder) {
	for _, f := range d.h.Meta.Faults {
		if f.To < d.from || f.From > d.to {
			continue
		}
		x := d.x(f.From)
		fmt.Fprintf(b, `<g class="fault"><title>%s</title><rect class="band" x="%.1f" y="0" width="%.1f" height="%.1f"/></g>`,
			html.EscapeString(fmt.Sprintf("%s, %s to %s", f.Name, moment(f.From), moment(f.To))), x, max(d.x(f.To)-x, shortestBar), d.height()-26)
	}
}

// messages marks where the schedule held or cut something.
func (d *drawing) messages(b *strings.Builder) {
	for _, m := range d.h.Meta.Messages {
		if m.Step < 0 || m.Step >= len(d.h.Plan.Steps) || m.At < d.from || m.At > d.to {
			continue
		}
		lane := slices.Index(d.lanes, d.h.Plan.Steps[m.Step].Client)
		if lane < 0 {
			continue
		}
		x, y := d.x(m.At), d.y(lane)
		fmt.Fprintf(b, `<path class="held" d="M%.1f %.1f l4 6 l-8 0 z"><title>%s</title></path>`, x, y+laneHeight-6,
			html.EscapeString(fmt.Sprintf("%s of line %d at %s, for %s", m.What, m.Step+1, moment(m.At), moment(m.For))))
	}
}

func (d *drawing) log(b *strings.Builder) {
	lane := slices.Index(d.lanes, logLane)
	if lane < 0 {
		return
	}
	y, n := d.y(lane), 0
	for _, e := range d.h.Journal.Entries {
		if e.At < d.from || e.At > d.to {
			continue
		}
		if n++; n > mostLines {
			return
		}
		fmt.Fprintf(b, `<circle class="entry" cx="%.1f" cy="%.1f" r="4"><title>%s</title></circle>`, d.x(e.At), y+laneHeight/2, html.EscapeString(moment(e.At)+"  "+e.Message))
	}
}

func (d *drawing) axis(b *strings.Builder) {
	const ticks = 6
	for i := range ticks + 1 {
		at := d.from + (d.to-d.from)*int64(i)/ticks
		anchor := map[int]string{0: "start", ticks: "end"}[i]
		if anchor == "" {
			anchor = "middle"
		}
		fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, d.x(at), d.height()-6, anchor, moment(at))
	}
}
