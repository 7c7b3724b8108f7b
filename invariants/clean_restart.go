package invariants

import (
	"fmt"

	"chaos/model"
)

type cleanRestart struct{}

var _ = register(cleanRestart{})

func (cleanRestart) Name() string { return "clean-restart" }

func (cleanRestart) Promise() string {
	return "A stop ends every process of the box, also those that execs left behind: none of them is there when the box runs again."
}

func (cleanRestart) Source() string {
	return "BoxLite state machine: processes are lost on stop; PR 876, #1239, #565"
}

// Check looks at the children that execs leave behind and that later ones see.
func (cleanRestart) Check(f *Facts) []Finding {
	for _, x := range f.execs {
		for _, token := range x.told[model.TellAlive].Words() {
			for _, y := range f.execs {
				if y.Start.Box != x.Start.Box || y.Start.Payload.Token != token {
					continue
				}
				if stop := f.stoppedSince(y.Start, x.Start); stop != nil {
					// One survivor is seen by every later exec.
					return []Finding{{Call: x.Start, State: noState, Action: model.OpStop, Detail: "process survives", Also: []*model.Call{y.Start, stop},
						Message: fmt.Sprintf("%s saw a child that %s had left, although %s and a new start lie between", label(x.Start), label(y.Start), label(stop)),
						Allowed: "no process from before the stop", Got: "one that is still there"}}
				}
			}
		}
	}
	return nil
}

// stoppedSince returns a stop that came to its end after the one exec had started and before the other
// was asked for, nil if none is sure to have: it was accepted, and later a look saw the box stopped or
// a start was accepted.
func (f *Facts) stoppedSince(from, to *model.Call) *model.Call {
	calls := f.OfBox(from.Box)
	for _, stop := range calls {
		if stop.Op != model.OpStop || stop.Outcome != model.OK || stop.Invoke <= from.Return {
			continue
		}
		for _, c := range calls {
			stopped := c.Op == model.OpStart || c.Op == model.OpGet && len(c.Boxes) == 1 && c.Boxes[0].Status == "stopped"
			if stopped && c.Outcome == model.OK && c.Invoke > stop.Return && c.Return < to.Invoke {
				return stop
			}
		}
	}
	return nil
}
