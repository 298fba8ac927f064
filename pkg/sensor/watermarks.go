package sensor

// Watermarks holds, for each producer, the highest seq that went by. Since a producer skips none and sends none past one
// that is unresolved, whatever is not above it has been seen (docs/formats/identity.md).
type Watermarks map[Producer]uint64

// Raise lets messages of p up to `to` go by, and gives the seq up to which they had been seen: `to` when all of them had.
func (w Watermarks) Raise(p Producer, to uint64) (seen uint64) {
	seen = w[p]
	if to > seen {
		w[p] = to
	}
	return min(seen, to)
}
