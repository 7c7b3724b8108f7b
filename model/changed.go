package model

// Changed returns the flags in which c differs from its profile; nil when in none.
func (c Contract) Changed() Flags {
	own, ok := Lookup(c.Profile, nil)
	var out Flags
	for name, value := range c.Flags {
		if ok && own.Flags[name] == value {
			continue
		}
		if out == nil {
			out = Flags{}
		}
		out[name] = value
	}
	return out
}

// String is the profile, and behind it in parentheses the flags in which c differs from it.
func (c Contract) String() string {
	if flags := c.Changed().String(); flags != "" {
		return c.Profile + " (" + flags + ")"
	}
	return c.Profile
}
