package engine

import "encoding/binary"

// joinArrow joins Arrow IPC streams of one schema: the schema message of every stream
// after the first is dropped and so is each end-of-stream mark. A stream may end without
// one (Arrow columnar format 1.4, IPC streaming format: "or by closing the stream").
//
// An encapsulated message is 0xFFFFFFFF, the metadata's length as int32 (a multiple of 8
// with the prefix), the metadata, the body; a schema message has no body. Length 0 ends
// the stream. Dictionaries do not occur: the engine writes LowCardinality as plain columns.
func joinArrow(block []byte, first bool) []byte {
	const mark = "\xff\xff\xff\xff"
	if n := len(block) - 8; n >= 0 && string(block[n:]) == mark+"\x00\x00\x00\x00" {
		block = block[:n]
	}
	if first || len(block) < 8 || string(block[:4]) != mark {
		return block
	}
	schema := 8 + int64(binary.LittleEndian.Uint32(block[4:]))
	if schema > int64(len(block)) {
		return block
	}
	return block[schema:]
}
