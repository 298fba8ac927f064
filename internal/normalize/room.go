package normalize

import (
	"sync/atomic"

	"github.com/situ-city/situ/pkg/sensor"
)

// Room is how many bytes the Normalizers of one process may keep together of what they have prepared. What does not fit
// is prepared again with each message. nil is room without end.
type Room struct{ left atomic.Int64 }

// NewRoom makes a Room of so many bytes.
func NewRoom(bytes int64) *Room {
	r := &Room{}
	r.left.Store(bytes)
	return r
}

// Take takes n bytes if they are there.
func (r *Room) Take(n int64) bool {
	if r == nil {
		return true
	}
	if r.left.Add(-n) < 0 {
		r.left.Add(n)
		return false
	}
	return true
}

// Give gives them back.
func (r *Room) Give(n int64) {
	if r != nil {
		r.left.Add(n)
	}
}

// What is counted for a Thing and for one of its names, in bytes, beside their words: about what they take.
const (
	thingBytes  = 352
	streamBytes = 768
)

// Share makes n count what it keeps in r. It is called before the first message.
func (n *Normalizer) Share(r *Room) { n.room = r }

// Forget lets go of everything that was prepared.
func (n *Normalizer) Forget() {
	n.things = make(map[sensor.ThingID]*thing) // a map that was cleared keeps its size
	n.room.Give(n.kept)
	n.kept = 0
}

// keep counts what is to be kept. False: there is no room, and nothing is kept any more.
func (n *Normalizer) keep(bytes int64) bool {
	if !n.room.Take(bytes) {
		n.Forget()
		return false
	}
	n.kept += bytes
	return true
}
