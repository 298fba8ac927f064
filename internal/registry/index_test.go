package registry

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The index must say what a plain map says, in every version that was ever handed out, also with keys that share
// their high bits (deep nodes) or their low bits (long probes).
func TestIndexAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(
			rapid.Uint64(),
			rapid.Map(rapid.Uint64Range(0, 2000), func(n uint64) uint64 { return n }),       // same high bits
			rapid.Map(rapid.Uint64Range(0, 2000), func(n uint64) uint64 { return n << 48 }), // same low bits
		)
		type version struct {
			x    index[uint64]
			want map[uint64]*uint64
		}
		var past []version
		now := version{want: map[uint64]*uint64{}}
		for range rapid.IntRange(1, 6).Draw(t, "versions") {
			e := &edit{}
			for _, k := range rapid.SliceOfN(key, 0, 1500).Draw(t, "keys") {
				if k%5 == 0 && len(now.want) > 0 {
					now.x.remove(e, k)
					delete(now.want, k)
					continue
				}
				v := new(uint64)
				now.x.put(e, k, v)
				now.want[k] = v
			}
			past = append(past, version{now.x, maps.Clone(now.want)})
		}
		for i, p := range past {
			if p.x.n != len(p.want) {
				t.Fatalf("version %d holds %d, want %d", i, p.x.n, len(p.want))
			}
			for k, v := range p.want {
				if p.x.get(k) != v {
					t.Fatalf("version %d, key %x: %p, want %p", i, k, p.x.get(k), v)
				}
			}
			for _, k := range rapid.SliceOfN(key, 10, 10).Draw(t, "others") {
				if p.x.get(k) != p.want[k] {
					t.Fatalf("version %d finds %x", i, k)
				}
			}
			from := key.Draw(t, "from")
			var got []uint64
			p.x.walk(from, func(k uint64, _ *uint64) bool { got = append(got, k); return true })
			want := slices.Sorted(maps.Keys(p.want))
			first, _ := slices.BinarySearch(want, from)
			if !slices.Equal(got, want[first:]) {
				t.Fatalf("version %d from %x walks %d keys, want %d", i, from, len(got), len(want)-first)
			}
		}
	})
}

func TestIndexWalkStops(t *testing.T) {
	var x index[int]
	e := &edit{}
	for i := range uint64(5000) {
		x.put(e, i<<50|i, new(int))
	}
	n := 0
	x.walk(0, func(uint64, *int) bool { n++; return n < 1000 })
	if n != 1000 {
		t.Errorf("walked %d, want 1000", n)
	}
}

// Keys that share one slot, with some taken out between them: probing must not stop at a hole.
func TestIndexRemoveInOneSlot(t *testing.T) {
	for gone := range uint64(5) {
		var x index[int]
		e := &edit{}
		for k := range uint64(5) {
			x.put(e, k*leafMin*8, new(int))
		}
		x.remove(e, gone*leafMin*8)
		for k := range uint64(5) {
			if found := x.get(k*leafMin*8) != nil; found != (k != gone) {
				t.Errorf("without %d: key %d found %v", gone, k, found)
			}
		}
	}
}
