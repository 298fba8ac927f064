// Package replay plays a CSV data set over MQTT, faster than life: one row becomes one message of situ's plain JSON.
//
// In: CSV (gzip if the name ends in .gz) with a time, an id, and value columns, perhaps lon and lat, perhaps a second
// file of places. Out: PUBLISH to situ/v1/{owner}/{id}/json. Rows that cannot be read are counted by reason and
// reported with their line; the others go on.
package replay

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// Config says which column is what.
type Config struct {
	File     string
	Time     string            // column of the time
	ID       string            // column of the Thing's name
	Lon, Lat string            // columns of the position, "" = none
	Values   map[string]string // column -> property
	Layout   string            // Go time layout, "unix" or "unixms"; "" = RFC 3339 or "2006-01-02 15:04:05"
	Zone     *time.Location    // of times without one; nil = UTC
	Owner    string
	Speed    float64 // 1 = life, 60 = an hour a minute, 0 = as fast as it is taken
}

// Sink takes the messages.
type Sink interface {
	Publish(ctx context.Context, topic string, payload []byte) error
}

// Result counts.
type Result struct {
	Rows, Sent int
	Bad        map[string]int // reason -> rows
	FirstBad   string         // the first bad row, in words
}

// ErrColumn: the header lacks a column the mapping names.
var ErrColumn = errors.New("no such column")

// Run plays the file; progress is called now and then with the share of the file read.
func Run(ctx context.Context, cfg Config, to Sink, progress func(share float64, r *Result)) (*Result, error) {
	f, err := os.Open(cfg.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	counted := &counter{r: f}
	var in io.Reader = bufio.NewReaderSize(counted, 1<<16)
	if strings.HasSuffix(cfg.File, ".gz") {
		if in, err = gzip.NewReader(in); err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.File, err)
		}
	}
	p := player{cfg: cfg, to: to, result: &Result{Bad: map[string]int{}}}
	rows := csv.NewReader(in)
	rows.ReuseRecord, rows.FieldsPerRecord = true, -1
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: header: %w", cfg.File, err)
	}
	if err := p.columns(header); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.File, err)
	}
	for ctx.Err() == nil {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return p.result, nil
		}
		p.result.Rows++
		if err != nil {
			if !p.bad(rows, "malformed", err) {
				return p.result, fmt.Errorf("%s: %w", cfg.File, err)
			}
			continue
		}
		if err := p.play(ctx, rows, row); err != nil {
			return p.result, err
		}
		if p.result.Rows%512 == 0 {
			progress(float64(counted.n)/float64(max(1, st.Size())), p.result)
		}
	}
	return p.result, ctx.Err()
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

type player struct {
	cfg            Config
	to             Sink
	result         *Result
	time, id       int
	lon, lat       int
	values         []column
	buf            []byte
	start, started time.Time // first row's time, and when it was played
}

type column struct {
	index    int
	property string
}

// columns finds the columns.
func (p *player) columns(header []string) error {
	find := func(name string) (int, error) {
		for i, h := range header {
			if strings.TrimPrefix(h, "\ufeff") == name {
				return i, nil
			}
		}
		return -1, fmt.Errorf("%w %q; the header has %s", ErrColumn, name, strings.Join(header, ", "))
	}
	var err error
	p.lon, p.lat = -1, -1
	for _, c := range []struct {
		name string
		to   *int
	}{{p.cfg.Time, &p.time}, {p.cfg.ID, &p.id}, {p.cfg.Lon, &p.lon}, {p.cfg.Lat, &p.lat}} {
		if c.name == "" {
			continue
		}
		if *c.to, err = find(c.name); err != nil {
			return err
		}
	}
	for name, property := range p.cfg.Values {
		i, err := find(name)
		if err != nil {
			return err
		}
		p.values = append(p.values, column{i, property})
	}
	return nil
}

// bad counts a row and reports whether reading may go on.
func (p *player) bad(rows *csv.Reader, reason string, err error) bool {
	p.result.Bad[reason]++
	if p.result.FirstBad == "" {
		line, _ := rows.FieldPos(0)
		p.result.FirstBad = fmt.Sprintf("line %d: %s: %v", line, reason, err)
	}
	var parse *csv.ParseError
	return reason != "malformed" || errors.As(err, &parse)
}

func (p *player) play(ctx context.Context, rows *csv.Reader, row []string) error {
	for _, i := range []int{p.time, p.id, p.lon, p.lat} {
		if i >= len(row) {
			p.bad(rows, "short", fmt.Errorf("%d fields", len(row)))
			return nil
		}
	}
	at, err := p.when(row[p.time])
	if err != nil {
		p.bad(rows, "time", err)
		return nil
	}
	if err := p.pace(ctx, at); err != nil {
		return err
	}
	b := append(p.buf[:0], `{"t":`...)
	b = strconv.AppendInt(b, at.UnixMilli(), 10)
	if p.lon >= 0 && p.lat >= 0 && row[p.lon] != "" && row[p.lat] != "" {
		if !number(row[p.lon]) || !number(row[p.lat]) {
			p.bad(rows, "position", fmt.Errorf("%q, %q", row[p.lon], row[p.lat]))
			return nil
		}
		b = append(append(append(b, `,"lon":`...), row[p.lon]...), `,"lat":`...)
		b = append(b, row[p.lat]...)
	}
	for _, c := range p.values {
		if c.index >= len(row) || row[c.index] == "" {
			continue // no value
		}
		if !number(row[c.index]) {
			p.bad(rows, "number", fmt.Errorf("column %s: %q", c.property, row[c.index]))
			continue
		}
		b = strconv.AppendQuote(append(b, ','), c.property)
		b = append(append(b, ':'), row[c.index]...)
	}
	p.buf = append(b, '}')
	if err := p.to.Publish(ctx, "situ/v1/"+p.cfg.Owner+"/"+row[p.id]+"/json", p.buf); err != nil {
		return err
	}
	p.result.Sent++
	return nil
}

// number reports whether s can stand in JSON as it is.
func number(s string) bool {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return false
	}
	return json.Valid([]byte(s))
}

func (p *player) when(s string) (time.Time, error) {
	zone := p.cfg.Zone
	if zone == nil {
		zone = time.UTC
	}
	switch p.cfg.Layout {
	case "unix", "unixms":
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return time.Time{}, err
		}
		if p.cfg.Layout == "unix" {
			return time.Unix(n, 0), nil
		}
		return time.UnixMilli(n), nil
	case "":
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t, nil
		}
		return time.ParseInLocation(time.DateTime, s, zone)
	}
	return time.ParseInLocation(p.cfg.Layout, s, zone)
}

// pace waits until the row is due at the chosen speed.
func (p *player) pace(ctx context.Context, at time.Time) error {
	if p.cfg.Speed <= 0 {
		return ctx.Err()
	}
	if p.started.IsZero() {
		p.start, p.started = at, time.Now()
	}
	due := p.started.Add(time.Duration(float64(at.Sub(p.start)) / p.cfg.Speed))
	if wait := time.Until(due); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}
