package arrowipc

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

const continuation = 0xffffffff

// maxDecoded bounds the memory that the columns of one stream may unpack to.
const maxDecoded = 128 << 20

// Decoder keeps what streams share. One goroutine at a time.
type Decoder struct {
	schema *arrow.Schema
	plain  []byte // our own schema message's metadata, which Arrow gets instead of the stream's
}

// NewDecoder makes a Decoder.
func NewDecoder() (*Decoder, error) {
	s := arrow.NewSchema(fields(), nil)
	m, err := schemaMessage(s)
	if err != nil {
		return nil, err
	}
	return &Decoder{schema: s, plain: m[8:]}, nil
}

// Decode appends the messages from..to of producer p, which value holds, to b; what b has seen already is left out
// and counted. On error b is unchanged.
func (d *Decoder) Decode(b *sensor.Batch, p sensor.Producer, from, to uint64, value []byte) error {
	if from == 0 || from > to {
		return fmt.Errorf("messages %d to %d: %w", from, to, ErrFormat)
	}
	if to <= b.Watermarks[p] {
		b.See(p, from, to)
		return nil
	}
	schema, batch, body, err := split(value)
	if err != nil {
		return err
	}
	j, err := readSchema(schema)
	if err != nil {
		return err
	}
	r, err := decodeRest(p, j)
	if err != nil {
		return err
	}
	if err := r.check(from, to); err != nil {
		return err
	}
	c, release, err := d.columns(batch, body)
	if err != nil {
		return err
	}
	defer release()
	if err := c.check(p, from, to); err != nil {
		return err
	}
	seen := b.SeeFrom(p, from, to)
	c.appendTo(b, p, seen)
	r.appendTo(b, p, seen)
	return nil
}

// split takes the stream apart: schema message, record batch message and its body.
func split(v []byte) (schema, batch, body []byte, err error) {
	schema, v, err = frame(v)
	if err == nil {
		batch, v, err = frame(v)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	n := len(v) - len(endOfStream)
	if n < 0 || string(v[n:]) != string(endOfStream) {
		return nil, nil, nil, fmt.Errorf("no end of stream: %w", ErrFormat)
	}
	f := flat{b: batch}
	if f.header(headerRecordBatch); f.bad {
		return nil, nil, nil, fmt.Errorf("no record batch: %w", ErrFormat)
	}
	return schema, batch, v[:n], nil
}

// frame gives a message's metadata and what follows it.
func frame(v []byte) (meta, after []byte, err error) {
	if len(v) < 8 || binary.LittleEndian.Uint32(v) != continuation {
		return nil, nil, fmt.Errorf("no message: %w", ErrFormat)
	}
	n := int64(binary.LittleEndian.Uint32(v[4:]))
	if n == 0 || n > int64(len(v)-8) {
		return nil, nil, fmt.Errorf("message of %d bytes in %d: %w", n, len(v)-8, ErrFormat)
	}
	return v[8 : 8+n], v[8+n:], nil
}

// cols are views into the unpacked columns.
type cols struct {
	n                                       int
	seq, datastream, thing, cell            []uint64
	idx, property, quality                  []uint16
	registry, epoch                         []uint32
	phenomenonTime, resultTime, arrivalTime []arrow.Timestamp
	result                                  []float64
	lon, lat                                []int32
	lane                                    []uint8
	gatewayOff, textOff                     []int32
	gateway, text                           []byte
}

// columns lets Arrow unpack the record batch.
func (d *Decoder) columns(batch, body []byte) (c cols, release func(), err error) {
	src := &messages{list: [2][2][]byte{{d.plain, nil}, {batch, body}}}
	alloc := &limited{Allocator: memory.DefaultAllocator, left: maxDecoded}
	r, err := ipc.NewReaderFromMessageReader(src, ipc.WithAllocator(alloc), ipc.WithSchema(d.schema))
	if err != nil {
		return c, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if !r.Next() {
		defer r.Release()
		return c, nil, fmt.Errorf("%w: %w", ErrFormat, r.Err())
	}
	rec := r.Record()
	c.n = int(rec.NumRows())
	col := rec.Columns()
	u64 := func(i int) []uint64 { return col[i].(*array.Uint64).Uint64Values() }
	u32 := func(i int) []uint32 { return col[i].(*array.Uint32).Uint32Values() }
	u16 := func(i int) []uint16 { return col[i].(*array.Uint16).Uint16Values() }
	i32 := func(i int) []int32 { return col[i].(*array.Int32).Int32Values() }
	ms := func(i int) []arrow.Timestamp { return col[i].(*array.Timestamp).TimestampValues() }
	c.seq, c.datastream, c.thing, c.cell = u64(colSeq), u64(colDatastream), u64(colThing), u64(colCell)
	c.idx, c.property, c.quality = u16(colIdx), u16(colProperty), u16(colQuality)
	c.registry, c.epoch = u32(colRegistry), u32(colEpoch)
	c.phenomenonTime, c.resultTime, c.arrivalTime = ms(colPhenomenonTime), ms(colResultTime), ms(colArrivalTime)
	c.result = col[colResult].(*array.Float64).Float64Values()
	c.lon, c.lat = i32(colLon), i32(colLat)
	c.lane = col[colLane].(*array.Uint8).Uint8Values()
	c.gatewayOff, c.gateway = strings(col[colGateway])
	c.textOff, c.text = strings(col[colText])
	return c, r.Release, nil
}

// strings views a string column's offsets and bytes without trusting either.
func strings(a arrow.Array) (offsets []int32, b []byte) {
	buffers := a.Data().Buffers()
	if len(buffers) == 3 && buffers[1] != nil {
		offsets = arrow.Int32Traits.CastFromBytes(buffers[1].Bytes())
	}
	if len(buffers) == 3 && buffers[2] != nil {
		b = buffers[2].Bytes()
	}
	return offsets, b
}

// check makes sure that appendTo can take every row as it is.
func (c *cols) check(p sensor.Producer, from, to uint64) error {
	if c.n > MaxRows {
		return fmt.Errorf("%d rows: %w", c.n, ErrRows)
	}
	for _, n := range []int{
		len(c.seq), len(c.datastream), len(c.thing), len(c.cell), len(c.idx), len(c.property), len(c.quality), len(c.registry),
		len(c.epoch), len(c.phenomenonTime), len(c.resultTime), len(c.arrivalTime), len(c.result), len(c.lon), len(c.lat), len(c.lane),
	} {
		if n != c.n {
			return fmt.Errorf("column of %d values in %d rows: %w", n, c.n, ErrFormat)
		}
	}
	if c.n == 0 {
		return nil
	}
	if !whole(c.gatewayOff, c.n, len(c.gateway)) || !whole(c.textOff, c.n, len(c.text)) {
		return fmt.Errorf("offsets of a text column: %w", ErrFormat)
	}
	if g := string(c.gateway[c.gatewayOff[0]:c.gatewayOff[1]]); g != p.Gateway || c.epoch[0] != p.Epoch || c.lane[0] != uint8(p.Lane) {
		return fmt.Errorf("rows are of %q, epoch %d, lane %d, the headers say %v: %w", g, c.epoch[0], c.lane[0], p, ErrFormat)
	}
	prev := from
	for _, seq := range c.seq {
		if seq < prev || seq > to {
			return fmt.Errorf("row of message %d after %d in %d..%d: %w", seq, prev, from, to, ErrFormat)
		}
		prev = seq
	}
	return nil
}

// whole tells whether offsets cut size bytes into n rising pieces.
func whole(offsets []int32, n, size int) bool {
	if len(offsets) < n+1 || offsets[0] < 0 {
		return false
	}
	for i := range n {
		if offsets[i+1] < offsets[i] {
			return false
		}
	}
	return int(offsets[n]) <= size
}

// appendTo adds the rows above the watermark.
func (c *cols) appendTo(b *sensor.Batch, p sensor.Producer, watermark uint64) {
	lo := 0
	for lo < c.n && c.seq[lo] <= watermark { // seqs rise
		lo++
	}
	if lo == c.n {
		return
	}
	pi := b.ProducerIndex(p)
	b.Seq = append(b.Seq, c.seq[lo:]...)
	b.Idx = append(b.Idx, c.idx[lo:]...)
	b.Registry = append(b.Registry, c.registry[lo:]...)
	b.Result = append(b.Result, c.result[lo:]...)
	b.Lon = append(b.Lon, c.lon[lo:]...)
	b.Lat = append(b.Lat, c.lat[lo:]...)
	for i := lo; i < c.n; i++ {
		b.Producer = append(b.Producer, pi)
		b.Datastream = append(b.Datastream, sensor.DatastreamID(c.datastream[i]))
		b.Thing = append(b.Thing, sensor.ThingKey(c.thing[i]))
		b.Property = append(b.Property, sensor.PropertyNumber(c.property[i]))
		b.PhenomenonTime = append(b.PhenomenonTime, int64(c.phenomenonTime[i]))
		b.ResultTime = append(b.ResultTime, int64(c.resultTime[i]))
		b.ArrivalTime = append(b.ArrivalTime, int64(c.arrivalTime[i]))
		b.Text = append(b.Text, string(c.text[c.textOff[i]:c.textOff[i+1]]))
		b.Cell = append(b.Cell, geo.Cell(c.cell[i]))
		b.Quality = append(b.Quality, sensor.Quality(c.quality[i]))
	}
}

// messages hands Arrow the two messages from memory, without copying them.
type messages struct {
	list [2][2][]byte
	next int
}

func (m *messages) Message() (*ipc.Message, error) {
	if m.next == len(m.list) {
		return nil, io.EOF
	}
	one := m.list[m.next]
	m.next++
	return ipc.NewMessage(memory.NewBufferBytes(one[0]), memory.NewBufferBytes(one[1])), nil
}

func (m *messages) Retain()  {}
func (m *messages) Release() {}

// limited refuses to unpack more than its bound: a few bytes of zstd can stand for gigabytes. Arrow's reader turns
// the panic into an error; it has no other way for an allocator to say no.
type limited struct {
	memory.Allocator
	left int
}

func (l *limited) take(n int) {
	if n > l.left {
		panic(fmt.Errorf("a stream that unpacks to more than %d bytes", maxDecoded))
	}
	l.left -= n
}

func (l *limited) Allocate(n int) []byte {
	l.take(n)
	return l.Allocator.Allocate(n)
}

func (l *limited) Reallocate(n int, b []byte) []byte {
	l.take(n - len(b))
	return l.Allocator.Reallocate(n, b)
}
