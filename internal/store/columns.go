package store

import (
	"maps"
	"slices"
	"time"
	"unsafe"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// columns turns the rows of a Batch into the columns of observations. Its memory is used again for every block; columns
// that are the same in both are passed on as they are.
type columns struct {
	cellOf func(lon, lat int32) geo.Cell
	cells  []placed // last cell by Thing: most Things stand still, and H3 costs 0.4 us

	scaler   scaler
	cell     []uint64
	lag      []int64
	decimals []int8
	scaled   []int32
	float    []float64
	gateway  []string
	epoch    []uint32
	lane     []uint8
	part     sensor.Batch // rows of one month, when a block has several
}

// placed is a Thing's last position and its cell.
type placed struct {
	thing    sensor.ThingKey
	lon, lat int32
	cell     geo.Cell
}

func newColumns(cellOf func(lon, lat int32) geo.Cell) *columns {
	return &columns{cellOf: cellOf, cells: make([]placed, 1<<15)}
}

// observationColumns are the names and types of an INSERT into observations, in the order of (*columns).fill. gateway
// goes as a plain String: the server makes it LowCardinality in a tenth of the time that the driver takes.
var observationColumns = []clickhouse.ColumnNameAndType{
	{Name: "cell", Type: "UInt64"}, {Name: "thing", Type: "UInt64"}, {Name: "datastream", Type: "UInt64"},
	{Name: "property", Type: "UInt16"}, {Name: "phenomenon_time", Type: "DateTime64(3, 'UTC')"},
	{Name: "result_lag", Type: "Int64"}, {Name: "arrival_time", Type: "DateTime64(3, 'UTC')"},
	{Name: "decimals", Type: "Int8"}, {Name: "result_scaled", Type: "Int32"}, {Name: "result_float", Type: "Float64"},
	{Name: "result_text", Type: "String"}, {Name: "lon", Type: "Int32"}, {Name: "lat", Type: "Int32"},
	{Name: "quality", Type: "UInt16"}, {Name: "registry", Type: "UInt32"}, {Name: "gateway", Type: "String"},
	{Name: "epoch", Type: "UInt32"}, {Name: "lane", Type: "UInt8"}, {Name: "seq", Type: "UInt64"}, {Name: "idx", Type: "UInt16"},
}

// fill appends the rows of b to an INSERT's columns.
func (c *columns) fill(to driver.Batch, b *sensor.Batch) error {
	c.compute(b)
	for i, column := range [...]any{
		c.cell, numbers64(b.Thing), numbers64(b.Datastream), numbers16(b.Property), b.PhenomenonTime, c.lag,
		b.ArrivalTime, c.decimals, c.scaled, c.float, b.Text, b.Lon, b.Lat, numbers16(b.Quality), b.Registry,
		c.gateway, c.epoch, c.lane, b.Seq, b.Idx,
	} {
		if err := to.Column(i).Append(column); err != nil {
			return err
		}
	}
	return nil
}

func (c *columns) compute(b *sensor.Batch) {
	n := b.Len()
	c.cell, c.lag, c.decimals = resize(c.cell, n), resize(c.lag, n), resize(c.decimals, n)
	c.scaled, c.float = resize(c.scaled, n), resize(c.float, n)
	c.gateway, c.epoch, c.lane = resize(c.gateway, n), resize(c.epoch, n), resize(c.lane, n)
	for i := range n {
		c.cell[i] = uint64(c.cellAt(b, i))
		c.lag[i] = b.ResultTime[i] - b.PhenomenonTime[i]
		d, scaled := c.scaler.scale(b.Datastream[i], b.Result[i])
		c.decimals[i], c.scaled[i], c.float[i] = d, scaled, 0
		if d == noDecimals {
			c.float[i] = b.Result[i]
		}
		p := &b.Producers[b.Producer[i]]
		c.gateway[i], c.epoch[i], c.lane[i] = p.Gateway, p.Epoch, uint8(p.Lane)
	}
}

func (c *columns) cellAt(b *sensor.Batch, i int) geo.Cell {
	if b.Cell[i] != 0 || b.Lon[i] == sensor.NoPosition || c.cellOf == nil {
		return b.Cell[i]
	}
	p := &c.cells[uint64(b.Thing[i])%uint64(len(c.cells))]
	if p.cell == 0 || p.thing != b.Thing[i] || p.lon != b.Lon[i] || p.lat != b.Lat[i] {
		*p = placed{b.Thing[i], b.Lon[i], b.Lat[i], c.cellOf(b.Lon[i], b.Lat[i])}
	}
	return p.cell
}

// months calls f for the rows of each table partition (calendar month UTC of phenomenonTime), in rising order.
func (c *columns) months(b *sensor.Batch, f func(yyyymm int, rows *sensor.Batch) error) error {
	if b.Len() == 0 {
		return nil
	}
	lowest, highest := b.PhenomenonTime[0], b.PhenomenonTime[0]
	for _, t := range b.PhenomenonTime {
		lowest, highest = min(lowest, t), max(highest, t)
	}
	if m := month(lowest); m == month(highest) {
		return f(m, b)
	}
	byMonth := make(map[int][]int)
	for i, t := range b.PhenomenonTime {
		m := month(t)
		byMonth[m] = append(byMonth[m], i)
	}
	for _, m := range slices.Sorted(maps.Keys(byMonth)) {
		c.pick(b, byMonth[m])
		if err := f(m, &c.part); err != nil {
			return err
		}
	}
	return nil
}

// pick copies some rows of b to c.part.
func (c *columns) pick(b *sensor.Batch, rows []int) {
	c.part.Reset()
	for _, i := range rows {
		id, arrival, o := b.Row(i)
		c.part.AppendRow(c.part.ProducerIndex(id.Producer), id.Seq, id.Idx, arrival, &o)
	}
}

// month is toYYYYMM.
func month(ms int64) int {
	t := time.UnixMilli(ms).UTC()
	return t.Year()*100 + int(t.Month())
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// numbers64 and numbers16 give a slice of a named number type as one of its underlying type, which is what the driver
// knows. They share the memory.
func numbers64[T ~uint64](s []T) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

func numbers16[T ~uint16](s []T) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}
