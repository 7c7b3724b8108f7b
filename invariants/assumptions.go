package invariants

import (
	"fmt"

	"chaos/model"
)

// harmless are operations that may be sent twice: what the second answer says was true between the
// call and its return all the same.
var harmless = map[string]bool{model.OpGet: true, model.OpList: true, model.OpInfo: true, model.OpMetrics: true}

// assumptions checks what the judge itself relies on. A history that breaks one is the fault of the
// harness and proves nothing about the stack. It returns what is broken, or "".
func assumptions(h *model.History) string {
	ids := map[int]bool{}
	tokens := map[string]bool{}
	for i := range h.Calls {
		c := &h.Calls[i]
		switch {
		case ids[c.ID]:
			return fmt.Sprintf("two calls have the id %d", c.ID)
		case c.Return < c.Invoke:
			return fmt.Sprintf("call %d returned before it was invoked", c.ID)
		case c.Outcome != model.OK && c.Outcome != model.Rejected && c.Outcome != model.Unknown:
			return fmt.Sprintf("call %d has no outcome", c.ID)
		case c.Conns > 1 && !harmless[c.Op]:
			return fmt.Sprintf("call %d was sent %d times by the transport, so its answer may belong to a repeat", c.ID, c.Conns)
		case c.Payload != nil && tokens[c.Payload.Token]:
			return fmt.Sprintf("call %d runs a token that another exec has too", c.ID)
		}
		ids[c.ID] = true
		if c.Payload != nil {
			tokens[c.Payload.Token] = true
		}
	}
	return ""
}
