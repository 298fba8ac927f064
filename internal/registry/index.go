package registry

import (
	"cmp"
	"slices"
)

// index is a persistent map from a well mixed 64-bit key (a hash) to *V. Reading needs no lock: a version that was
// handed out never changes. Writing makes a new version that shares all but the touched path with the old one.
//
// The simple way, one Go map copied per change, costs 40 ms at 1 M entries; a map under a lock costs every reading
// two atomic writes on a contended line. Here the key's high bits walk inner nodes of 64 children, its low bits probe
// a small open-addressing table. A million entries are two inner nodes and one table; a change copies 1 kB of inner
// nodes and one table of at most 8 kB. Many changes in one draft copy each node once.
type index[V any] struct {
	root *node[V]
	n    int
}

const (
	fanBits  = 6
	fan      = 1 << fanBits
	topShift = 64 - fanBits
	leafMax  = 384 // entries; then a leaf becomes an inner node. Keys alike in 60 high bits stay together in one leaf.
	leafMin  = 8   // slots
)

// edit names one draft: it may change in place the nodes it made itself.
type edit struct{ _ byte }

type slot[V any] struct {
	key uint64
	val *V // nil = free
}

type node[V any] struct {
	owner *edit
	kids  *[fan]*node[V] // nil in a leaf
	slots []slot[V]      // power of two; nil in an inner node
	n     int            // entries of a leaf
}

// get finds key's value, nil if there is none.
func (x *index[V]) get(key uint64) *V {
	n := x.root
	shift := uint(topShift)
	for {
		if n == nil {
			return nil
		}
		if n.kids == nil {
			break
		}
		n = n.kids[key>>(shift&63)&(fan-1)]
		shift -= fanBits
	}
	mask := uint64(len(n.slots) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		s := &n.slots[i]
		if s.val == nil {
			return nil
		}
		if s.key == key {
			return s.val
		}
	}
}

// put sets key's value in the version that e is making.
func (x *index[V]) put(e *edit, key uint64, v *V) {
	var added bool
	x.root, added = put(x.root, e, topShift, key, v)
	if added {
		x.n++
	}
}

func put[V any](n *node[V], e *edit, shift int, key uint64, v *V) (*node[V], bool) {
	if n == nil {
		n = &node[V]{owner: e, slots: make([]slot[V], leafMin)}
	}
	if n.kids == nil && n.n >= leafMax && shift >= 0 {
		n = split(n, e, shift)
	}
	if n.kids != nil {
		n = n.own(e)
		kid := &n.kids[key>>uint(shift)&(fan-1)]
		var added bool
		*kid, added = put(*kid, e, shift-fanBits, key, v)
		return n, added
	}
	n = n.own(e)
	if 4*(n.n+1) > 3*len(n.slots) {
		n.resize(2 * len(n.slots))
	}
	return n, n.set(key, v)
}

// remove takes key out of the version that e is making.
func (x *index[V]) remove(e *edit, key uint64) {
	if x.get(key) == nil {
		return
	}
	x.root = remove(x.root, e, topShift, key)
	x.n--
}

func remove[V any](n *node[V], e *edit, shift int, key uint64) *node[V] {
	n = n.own(e)
	if n.kids != nil {
		kid := &n.kids[key>>uint(shift)&(fan-1)]
		*kid = remove(*kid, e, shift-fanBits, key)
		return n
	}
	for i := range n.slots {
		if n.slots[i].val != nil && n.slots[i].key == key {
			n.slots[i] = slot[V]{}
			break
		}
	}
	n.resize(len(n.slots)) // probing must not stop at the hole
	return n
}

// own gives a node that e may change: n itself, or a copy.
func (n *node[V]) own(e *edit) *node[V] {
	if n.owner == e {
		return n
	}
	c := &node[V]{owner: e, n: n.n}
	if n.kids != nil {
		kids := *n.kids
		c.kids = &kids
	} else {
		c.slots = slices.Clone(n.slots)
	}
	return c
}

// set writes into a leaf with room; it reports whether the key is new.
func (n *node[V]) set(key uint64, v *V) bool {
	mask := uint64(len(n.slots) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		s := &n.slots[i]
		if s.val != nil && s.key != key {
			continue
		}
		added := s.val == nil
		*s = slot[V]{key, v}
		if added {
			n.n++
		}
		return added
	}
}

func (n *node[V]) resize(size int) {
	old := n.slots
	n.slots, n.n = make([]slot[V], size), 0
	for _, s := range old {
		if s.val != nil {
			n.set(s.key, s.val)
		}
	}
}

func split[V any](leaf *node[V], e *edit, shift int) *node[V] {
	n := &node[V]{owner: e, kids: new([fan]*node[V])}
	for _, s := range leaf.slots {
		if s.val != nil {
			kid := &n.kids[s.key>>uint(shift)&(fan-1)]
			*kid, _ = put(*kid, e, shift-fanBits, s.key, s.val)
		}
	}
	return n
}

// walk yields the entries with keys from `from` on, in rising order of key; it stops when yield says false.
func (x *index[V]) walk(from uint64, yield func(uint64, *V) bool) {
	walk(x.root, topShift, from, yield)
}

func walk[V any](n *node[V], shift int, from uint64, yield func(uint64, *V) bool) bool {
	switch {
	case n == nil:
		return true
	case n.kids == nil:
		return walkLeaf(n, from, yield)
	}
	first := from >> uint(shift) & (fan - 1)
	for i := first; i < fan; i++ {
		if i > first {
			from = 0 // every key below here is greater
		}
		if !walk(n.kids[i], shift-fanBits, from, yield) {
			return false
		}
	}
	return true
}

func walkLeaf[V any](n *node[V], from uint64, yield func(uint64, *V) bool) bool {
	sorted := make([]slot[V], 0, n.n)
	for _, s := range n.slots {
		if s.val != nil {
			sorted = append(sorted, s)
		}
	}
	slices.SortFunc(sorted, func(a, b slot[V]) int { return cmp.Compare(a.key, b.key) })
	for _, s := range sorted {
		if s.key >= from && !yield(s.key, s.val) {
			return false
		}
	}
	return true
}
