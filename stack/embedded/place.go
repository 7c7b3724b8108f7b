package embedded

// address names the place of a journal as --journal reads it.
func (l logPlace) address() string {
	if l.File != "" {
		return "file:" + l.File
	}
	return "dir:" + l.Dir
}
