package normalize

// MemoryBytes counts what is taken, Thing by Thing.
func MemoryBytes(m *Memory) (taken int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, p := range m.things {
		taken += p.bytes(id)
	}
	return taken
}
