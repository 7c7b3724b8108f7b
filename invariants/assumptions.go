package invariants

import (
	"fmt"

	"chaos/model"
)

// assumptions checks what the judge itself relies on. A history that breaks one is the fault of the
// harness and proves nothing about the stack. It returns what is broken, or "".
//
// On a connection that turns out to be closed, net/http sends a request once more: one that changes
// something only if nothing of it had been written, so it came once; a look in any case, and what the
// second answer says was true between the call and its return all the same. Only an attach that is
// sent twice may meet its own first try.
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
		case c.Conns > 1 && c.Op == model.OpAttach:
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
