// Package arrowipc turns a range of one producer's messages into one Arrow IPC stream and back: the value of a bus
// message on Kafka (docs/formats/bus-message.md, schemas 1 and 2; Arrow columnar format 1.0, IPC streaming, zstd buffers).
//
// Any Arrow reader understands the stream: pyarrow, ClickHouse's ArrowStream. What is not a row rides in the
// schema's metadata. This is the only package of situ that knows Arrow. Callers: internal/bus/kafka.
// It does no I/O; bytes that are no such stream give ErrFormat, never a panic, and a bounded use of memory.
package arrowipc

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/situ-city/situ/pkg/sensor"
)

var (
	// ErrFormat: bytes that are not a stream of schema 1, or contradict what their headers say.
	ErrFormat = errors.New("not an Arrow stream of situ's schema 1")
	// ErrRows: a range of more rows than one message may hold.
	ErrRows = errors.New("too many rows for one message")
)

// What the header `schema` says. The second has kept payloads among what is not a row: a reader that does not know them
// stops, rather than lose them.
const (
	SchemaVersion  = "1"
	SchemaPayloads = "2"
)

// SchemaOf is the header of a batch.
func SchemaOf(b *sensor.Batch) string {
	if len(b.Payloads) > 0 {
		return SchemaPayloads
	}
	return SchemaVersion
}

// MaxRows is the most rows a message holds.
const MaxRows = 65_536

// restKey is the schema metadata's key for what is not a row.
const restKey = "situ.rest"

// Columns in the order of the format; the numbers index them.
const (
	colGateway = iota
	colEpoch
	colLane
	colSeq
	colIdx
	colDatastream
	colThing
	colProperty
	colRegistry
	colPhenomenonTime
	colResultTime
	colArrivalTime
	colResult
	colText
	colLon
	colLat
	colCell
	colQuality
	columns
)

// fields of schema 1. None is nullable: what is absent has a value that says so (NaN, -2^31, 0, "").
func fields() []arrow.Field {
	ms := &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}
	u8, u16, u32, u64 := arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Uint64
	return []arrow.Field{
		colGateway:        {Name: "gateway", Type: arrow.BinaryTypes.String},
		colEpoch:          {Name: "epoch", Type: u32},
		colLane:           {Name: "lane", Type: u8},
		colSeq:            {Name: "seq", Type: u64},
		colIdx:            {Name: "idx", Type: u16},
		colDatastream:     {Name: "datastream", Type: u64},
		colThing:          {Name: "thing", Type: u64},
		colProperty:       {Name: "property", Type: u16},
		colRegistry:       {Name: "registry", Type: u32},
		colPhenomenonTime: {Name: "phenomenon_time", Type: ms},
		colResultTime:     {Name: "result_time", Type: ms},
		colArrivalTime:    {Name: "arrival_time", Type: ms},
		colResult:         {Name: "result", Type: arrow.PrimitiveTypes.Float64},
		colText:           {Name: "result_text", Type: arrow.BinaryTypes.String},
		colLon:            {Name: "lon", Type: arrow.PrimitiveTypes.Int32},
		colLat:            {Name: "lat", Type: arrow.PrimitiveTypes.Int32},
		colCell:           {Name: "cell", Type: u64},
		colQuality:        {Name: "quality", Type: u16},
	}
}
