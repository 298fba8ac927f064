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
	if n := unsafe.Sizeof(past{}) + 128; n > pastBytes {
		t.Errorf("what is remembered of a Thing takes about %d bytes, %d are counted", n, pastBytes)
	}
	if n := unsafe.Sizeof(pastStream{}); n > pastStreamBytes {
		t.Errorf("what is remembered of a Datastream takes %d bytes, %d are counted", n, pastStreamBytes)
	}
	t.Logf("stream %d, thing %d, of them for judging %d and %d", unsafe.Sizeof(stream{}), unsafe.Sizeof(thing{}), unsafe.Sizeof(series{}), unsafe.Sizeof(skew{}))
}
