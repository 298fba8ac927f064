package arrowipc

import (
	"encoding/binary"
	"fmt"
)

// Of a foreign schema message situ needs two things, the columns' names and one metadata value. It reads them here,
// checking every offset, and lets Arrow see only its own schema: a broken vector length would make Arrow ask for
// any amount of memory.

// Slots of the tables in Arrow's Message.fbs and Schema.fbs.
const (
	messageHeaderType = 1
	messageHeader     = 2
	schemaFields      = 1
	schemaMetadata    = 2
	fieldName         = 0
	keyValueKey       = 0
	keyValueValue     = 1

	headerSchema      = 1 // MessageHeader.Schema
	headerRecordBatch = 3 // MessageHeader.RecordBatch
)

// flat is a FlatBuffer and a sticky error: after the first bad offset everything reads as zero.
type flat struct {
	b   []byte
	bad bool
}

func (f *flat) u16(at int) int {
	if at < 0 || at+2 > len(f.b) {
		f.bad = true
		return 0
	}
	return int(binary.LittleEndian.Uint16(f.b[at:]))
}

func (f *flat) i32(at int) int {
	if at < 0 || at+4 > len(f.b) {
		f.bad = true
		return 0
	}
	return int(int32(binary.LittleEndian.Uint32(f.b[at:])))
}

// follow goes where the offset at `at` points.
func (f *flat) follow(at int) int { return at + f.i32(at) }

// slot gives the place of a table's field, 0 if it is absent.
func (f *flat) slot(table, n int) int {
	vtable := table - f.i32(table)
	if at := 4 + 2*n; at < f.u16(vtable) {
		if off := f.u16(vtable + at); off != 0 {
			return table + off
		}
	}
	return 0
}

// vector gives the place of the first element and the number of elements of 4 bytes.
func (f *flat) vector(at int) (first, n int) {
	if at == 0 {
		return 0, 0
	}
	v := f.follow(at)
	n = f.i32(v)
	if n < 0 || n > (len(f.b)-v)/4 {
		f.bad = true
		return 0, 0
	}
	return v + 4, n
}

func (f *flat) text(at int) []byte {
	if at == 0 {
		return nil
	}
	s := f.follow(at)
	n := f.i32(s)
	if f.bad || n < 0 || s+4+n > len(f.b) {
		f.bad = true
		return nil
	}
	return f.b[s+4 : s+4+n]
}

// header gives the header table of a message that must be of type kind.
func (f *flat) header(kind byte) int {
	root := f.follow(0)
	at := f.slot(root, messageHeaderType)
	if f.bad || at <= 0 || at >= len(f.b) || f.b[at] != kind {
		f.bad = true
		return 0
	}
	if at = f.slot(root, messageHeader); at == 0 {
		f.bad = true
		return 0
	}
	return f.follow(at)
}

// readSchema checks the columns of a schema message and gives the metadata under restKey.
func readSchema(meta []byte) (rest []byte, err error) {
	f := flat{b: meta}
	schema := f.header(headerSchema)
	first, n := f.vector(f.slot(schema, schemaFields))
	if f.bad || n != columns {
		return nil, fmt.Errorf("schema of %d columns: %w", n, ErrFormat)
	}
	for i, want := range fields() {
		if name := f.text(f.slot(f.follow(first+4*i), fieldName)); string(name) != want.Name {
			return nil, fmt.Errorf("column %d is %.20q, not %q: %w", i, name, want.Name, ErrFormat)
		}
	}
	first, n = f.vector(f.slot(schema, schemaMetadata))
	for i := range n {
		kv := f.follow(first + 4*i)
		if string(f.text(f.slot(kv, keyValueKey))) == restKey {
			rest = f.text(f.slot(kv, keyValueValue))
		}
	}
	if f.bad {
		return nil, fmt.Errorf("schema message: %w", ErrFormat)
	}
	return rest, nil
}
