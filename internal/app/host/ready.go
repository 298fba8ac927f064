package host

import (
	"cmp"
	"slices"
	"sync"
)

// NotReady names a part that is not ready, and why.
type NotReady struct {
	Component string `json:"component"`
	Why       string `json:"why"`
}

// Readiness lists what is not ready, and why. The zero value: everything is.
type Readiness struct {
	mu   sync.Mutex // guards what follows
	list map[string]string
}

// Set says why a component is not ready; "" says that it is.
func (r *Readiness) Set(component, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.list == nil {
		r.list = map[string]string{}
	}
	if why == "" {
		delete(r.list, component)
		return
	}
	r.list[component] = why
}

// List gives what is not ready, by name.
func (r *Readiness) List() []NotReady {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []NotReady
	for c, why := range r.list {
		out = append(out, NotReady{Component: c, Why: why})
	}
	slices.SortFunc(out, func(a, b NotReady) int { return cmp.Compare(a.Component, b.Component) })
	return out
}
