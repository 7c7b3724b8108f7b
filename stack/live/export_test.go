package live

import "time"

// SetAnswerLimit shortens how long Connect waits, and returns what undoes it.
func SetAnswerLimit(d time.Duration) (undo func()) {
	was := answerLimit
	answerLimit = d
	return func() { answerLimit = was }
}
