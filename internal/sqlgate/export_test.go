package sqlgate

// WithoutRules gives the same gate with its lists off, to show what they are for.
func (g *Gate) WithoutRules() *Gate {
	open := *g
	open.rules = nil
	return &open
}
