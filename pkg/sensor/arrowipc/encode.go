package arrowipc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/situ-city/situ/pkg/sensor"
)

// minSaving is how much of a buffer zstd must save to be worth undoing: noise stays as it is.
const minSaving = 0.05

// Encoder keeps what streams share: the compressor and the memory of constant columns. One goroutine at a time.
type Encoder struct {
	schema *arrow.Schema
	plain  []byte // the schema message of a stream without rest
	out    framer
	w      *ipc.Writer

	gateway []byte
	offsets []int32 // of the gateway column
	epoch   []uint32
	lane    []uint8
	text    []byte
	textOff []int32
}

// NewEncoder makes an Encoder.
func NewEncoder() (*Encoder, error) {
	e := &Encoder{schema: arrow.NewSchema(fields(), nil)}
	var err error
	if e.plain, err = schemaMessage(e.schema); err != nil {
		return nil, err
	}
	e.w = ipc.NewWriterWithPayloadWriter(&e.out, ipc.WithSchema(e.schema), ipc.WithZstd(),
		ipc.WithCompressConcurrency(1), ipc.WithMinSpaceSavings(minSaving))
	return e, nil
}

// Append appends the stream of everything in b, which must be of producer p alone. On error dst is returned unchanged.
func (e *Encoder) Append(dst []byte, p sensor.Producer, b *sensor.Batch) ([]byte, error) {
	n := b.Len()
	if n > MaxRows {
		return dst, fmt.Errorf("%d rows: %w", n, ErrRows)
	}
	for i, pi := range b.Producer {
		if b.Producers[pi] != p {
			return dst, fmt.Errorf("row %d is of %v, not of %v: %w", i, b.Producers[pi], p, ErrFormat)
		}
	}
	schema := e.plain
	j, err := encodeRest(b)
	if err == nil && j != "" {
		md := arrow.NewMetadata([]string{restKey}, []string{j})
		schema, err = schemaMessage(arrow.NewSchema(fields(), &md))
	}
	if err != nil {
		return dst, fmt.Errorf("encode messages: %w", err)
	}
	e.out.buf = append(dst, schema...)
	e.out.body = true
	e.fill(p, b)
	rec := e.record(b)
	err = e.w.Write(rec)
	rec.Release()
	out := e.out.buf
	e.out.buf = nil
	if err != nil {
		return dst, fmt.Errorf("encode %d rows: %w", n, err)
	}
	return append(out, endOfStream...), nil
}

var endOfStream = []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}

// fill prepares the columns that a Batch does not hold as they are.
func (e *Encoder) fill(p sensor.Producer, b *sensor.Batch) {
	n, g := b.Len(), len(p.Gateway)
	e.gateway, e.offsets = e.gateway[:0], append(e.offsets[:0], 0)
	e.epoch, e.lane = e.epoch[:0], e.lane[:0]
	e.text, e.textOff = e.text[:0], append(e.textOff[:0], 0)
	for i := range n {
		e.gateway = append(e.gateway, p.Gateway...)
		e.offsets = append(e.offsets, int32((i+1)*g))
		e.epoch = append(e.epoch, p.Epoch)
		e.lane = append(e.lane, uint8(p.Lane))
		e.text = append(e.text, b.Text[i]...)
		e.textOff = append(e.textOff, int32(len(e.text)))
	}
}

// record lends the columns to Arrow without copying them; Write is done with them when it returns.
func (e *Encoder) record(b *sensor.Batch) arrow.Record {
	n := b.Len()
	data := [columns][]byte{
		colGateway: e.gateway, colText: e.text,
		colEpoch: raw(e.epoch), colLane: e.lane, colSeq: raw(b.Seq), colIdx: raw(b.Idx),
		colDatastream: raw(b.Datastream), colThing: raw(b.Thing), colProperty: raw(b.Property), colRegistry: raw(b.Registry),
		colPhenomenonTime: raw(b.PhenomenonTime), colResultTime: raw(b.ResultTime), colArrivalTime: raw(b.ArrivalTime),
		colResult: raw(b.Result), colLon: raw(b.Lon), colLat: raw(b.Lat), colCell: raw(b.Cell), colQuality: raw(b.Quality),
	}
	offsets := [columns][]byte{colGateway: raw(e.offsets), colText: raw(e.textOff)}
	cols := make([]arrow.Array, columns)
	for i, f := range e.schema.Fields() {
		buffers := []*memory.Buffer{nil, memory.NewBufferBytes(data[i])}
		if offsets[i] != nil {
			buffers = []*memory.Buffer{nil, memory.NewBufferBytes(offsets[i]), memory.NewBufferBytes(data[i])}
		}
		d := array.NewData(f.Type, n, buffers, nil, 0, 0)
		cols[i] = array.MakeFromData(d)
		d.Release()
	}
	rec := array.NewRecord(e.schema, cols, int64(n))
	for _, c := range cols {
		c.Release()
	}
	return rec
}

// raw views a column's memory. Arrow buffers are little endian, as is every machine that situ is built for.
func raw[T ~uint16 | ~uint32 | ~uint64 | ~int32 | ~int64 | ~float64](col []T) []byte {
	if len(col) == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(col))), len(col)*int(unsafe.Sizeof(col[0])))
}

// framer frames Arrow messages into a growing slice; body says whether they are wanted yet: the writer begins with
// the schema's, which is ours to write because its metadata differs from stream to stream.
type framer struct {
	buf  []byte
	body bool
	seen bool
}

func (f *framer) Start() error { return nil }
func (f *framer) Close() error { return nil }

func (f *framer) WritePayload(p ipc.Payload) error {
	if f.body && !f.seen {
		f.seen = true
		return nil
	}
	meta := p.Meta()
	defer meta.Release()
	padded := (meta.Len() + 7) &^ 7
	f.buf = binary.LittleEndian.AppendUint32(f.buf, continuation)
	f.buf = binary.LittleEndian.AppendUint32(f.buf, uint32(padded))
	f.buf = append(f.buf, meta.Bytes()...)
	f.buf = append(f.buf, make([]byte, padded-meta.Len())...)
	return p.SerializeBody((*sliceWriter)(&f.buf))
}

type sliceWriter []byte

func (w *sliceWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

// schemaMessage frames the schema alone.
func schemaMessage(s *arrow.Schema) ([]byte, error) {
	var f framer
	if err := ipc.NewWriterWithPayloadWriter(&f, ipc.WithSchema(s)).Close(); err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return bytes.Clone(f.buf), nil
}
