package embedded

// LogAddress is where the journal of the stack can be read by other processes, as dir:PATH or file:PATH.
func (s *Stack) LogAddress() string { return s.ready.Log.address() }
