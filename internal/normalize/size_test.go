package normalize

import (
	"testing"
	"unsafe"
)

// What Room counts is what is taken: the structs, and what hangs on them (an undeclared Datastream, an entry of a map).
func TestRoomCountsWhatIsTaken(t *testing.T) {
	if n := unsafe.Sizeof(stream{}) + 160; n > streamBytes {
		t.Errorf("a name takes about %d bytes, %d are counted", n, streamBytes)
	}
	if n := unsafe.Sizeof(thing{}) + 64; n > thingBytes {
		t.Errorf("a Thing takes about %d bytes, %d are counted", n, thingBytes)
	}
	t.Logf("stream %d, thing %d, of them for judging %d and %d", unsafe.Sizeof(stream{}), unsafe.Sizeof(thing{}), unsafe.Sizeof(limits{})+unsafe.Sizeof(series{}), unsafe.Sizeof(skew{}))
}
