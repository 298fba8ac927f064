package livestate

import "github.com/situ-city/situ/pkg/sensor"

// Sets lists the properties that have, or have had, a value on the map, by number.
func (s *State) Sets() []sensor.PropertyNumber {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var sets []sensor.PropertyNumber
	for p, l := range s.layers {
		if l != nil {
			sets = append(sets, sensor.PropertyNumber(p))
		}
	}
	return sets
}
