package embedded

// LogAddress is where the journal of the stack can be read by other processes, as dir:PATH or file:PATH.
func (s *Stack) LogAddress() string { return s.ready.Log.address() }

// address names the place of a journal as --journal reads it.
func (l logPlace) address() string {
	if l.File != "" {
		return "file:" + l.File
	}
	return "dir:" + l.Dir
}
