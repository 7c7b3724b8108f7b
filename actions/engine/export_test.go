package engine

import "time"

// SetLimit makes e give up plans after d.
func SetLimit(e *Engine, d time.Duration) { e.limit = d }
