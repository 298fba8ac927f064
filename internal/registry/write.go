package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

// batch collects the changes of one transaction on top of the newest snapshot. What it refuses leaves no trace.
type batch struct {
	*draft
	r       *Registry
	at      time.Time
	last    uint64 // number of the last change made
	changes []Change
}

// update runs fn on a batch and makes what it did durable, then visible, in that order. Nothing is written if fn
// fails or changes nothing.
func (r *Registry) update(ctx context.Context, fn func(*batch) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.again(ctx, func(ctx context.Context) error { return r.updateOnce(ctx, fn) })
}

func (r *Registry) updateOnce(ctx context.Context, fn func(*batch) error) error {
	tx, err := r.begin(ctx)
	if err != nil {
		return fmt.Errorf("begin registry change: %w", err)
	}
	defer tx.Rollback() // no-op after Commit
	old := r.Snapshot()
	s, err := r.catchUp(ctx, tx, old)
	if err != nil {
		return err
	}
	if s != old {
		r.publish(s)
	}
	b := &batch{draft: s.draft(), r: r, at: r.opt.Clock().UTC().Truncate(time.Millisecond), last: s.version}
	if err := fn(b); err != nil {
		return err
	}
	if len(b.changes) == 0 {
		return nil
	}
	if err := r.store(ctx, tx, b.changes); err != nil {
		return fmt.Errorf("write %d registry changes: %w", len(b.changes), err)
	}
	if err := commit(ctx, tx); err != nil {
		return fmt.Errorf("commit %d registry changes: %w", len(b.changes), err)
	}
	r.publish(b.finish(b.last))
	return nil
}

// thing adds or replaces a Thing. It takes t over. changed is false if the ledger says the same already.
func (b *batch) thing(t *sensor.Thing) (stored *sensor.Thing, changed bool, err error) {
	if len(t.Scenes) == 0 {
		t.Scenes = nil // as it comes back from the file
	}
	if old, ok := b.Thing(t.ID); ok {
		t.Version = old.Version
		if reflect.DeepEqual(t, old) {
			return old, false, nil
		}
	}
	t.Version = b.last + 1
	if stored, err = b.putThing(t); err != nil {
		return nil, false, err
	}
	b.record(Change{Thing: stored})
	return stored, true, nil
}

// datastream adds or replaces a Datastream. It takes ds over. A template passes itself on to the Datastreams that
// readings declared; such a Datastream takes after its template.
func (b *batch) datastream(ds *sensor.Datastream) (changed bool, err error) {
	if ds.Auto && ds.Property != "" && covers(ds.Statistic) {
		if t, ok := b.Datastream(TemplateID(ds.Thing, ds.Property)); ok && t.ID != ds.ID {
			inherit(ds, t)
		}
	}
	old, known := b.Datastream(ds.ID)
	if known && sameStream(old, ds) {
		ds.Version = old.Version
		if reflect.DeepEqual(ds, old) {
			return false, nil
		}
	}
	if err := b.admits(ds); err != nil {
		return false, err
	}
	ds.Version = b.last + 1
	if err := b.putDatastream(ds); err != nil {
		return false, err
	}
	b.record(Change{Datastream: ds})
	if IsTemplate(ds) {
		return true, b.passOn(ds)
	}
	return true, nil
}

// admits tells whether a Datastream that passed its checks can be stored.
func (b *batch) admits(ds *sensor.Datastream) error {
	old, known := b.Datastream(ds.ID)
	switch {
	case known && !sameStream(old, ds):
		return fmt.Errorf("datastreams %s %q and %s %q: %w", old.Thing, old.SourceKey, ds.Thing, ds.SourceKey, ErrCollision)
	case !known && len(b.DatastreamsOf(ds.Thing)) >= MaxDatastreams:
		return fmt.Errorf("%s has %d: %w", ds.Thing, MaxDatastreams, ErrBound)
	}
	return nil
}

func (b *batch) record(c Change) {
	b.last++
	c.Number, c.At = b.last, b.at
	b.changes = append(b.changes, c)
}

func (b *batch) passOn(template *sensor.Datastream) error {
	for _, d := range b.DatastreamsOf(template.Thing) {
		if d.Auto && d.Property == template.Property && d.ID != template.ID {
			c := *d
			if _, err := b.datastream(&c); err != nil {
				return err
			}
		}
	}
	return nil
}

func inherit(d, template *sensor.Datastream) {
	d.Unit, d.Interval, d.Min, d.Max = template.Unit, template.Interval, template.Min, template.Max
	d.Rate, d.StillS = template.Rate, template.StillS
}

// store writes the changes and points the tables at them.
func (b *backend) store(ctx context.Context, tx *sql.Tx, changes []Change) error {
	var feed []any
	for i := range changes {
		c := &changes[i]
		kind, doc := kindThing, any(c.Thing)
		if c.Datastream != nil {
			kind, doc = kindDatastream, c.Datastream
		}
		text, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		feed = append(feed, int64(c.Number), c.At.UnixMilli(), kind, string(text))
	}
	if err := b.insertMany(ctx, tx, "INSERT INTO changes (number, at, kind, doc) VALUES ", "", 4, feed); err != nil {
		return err
	}
	for rest := changes; len(rest) > 0; {
		n := untilRepeat(rest)
		if err := b.point(ctx, tx, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if b.words.advance == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, b.words.advance, int64(changes[len(changes)-1].Number))
	return err
}

// untilRepeat is how many of the changes speak of different Things and Datastreams: PostgreSQL does not touch a row
// twice in one statement. (To write only the last state of each would not do: a serial that moves from one Thing to
// another within a transaction is free only when the first has given it up.)
func untilRepeat(changes []Change) int {
	things, streams := map[sensor.ThingID]bool{}, map[sensor.DatastreamID]bool{}
	for i := range changes {
		if t := changes[i].Thing; t != nil {
			if things[t.ID] {
				return i
			}
			things[t.ID] = true
		} else {
			d := changes[i].Datastream
			if streams[d.ID] {
				return i
			}
			streams[d.ID] = true
		}
	}
	return len(changes)
}

// point makes the tables name these changes as the newest of their Things and Datastreams.
func (b *backend) point(ctx context.Context, tx *sql.Tx, changes []Change) error {
	var things, streams []any
	for i := range changes {
		c := &changes[i]
		if t := c.Thing; t != nil {
			serial := sql.NullString{String: t.Serial, Valid: bearsSerial(t)}
			things = append(things, int64(t.ID.Key()), string(t.ID), t.ID.Owner(), serial, int64(c.Number))
		} else {
			d := c.Datastream
			streams = append(streams, int64(d.ID), int64(d.Thing.Key()), int64(c.Number))
		}
	}
	err := b.insertMany(ctx, tx, "INSERT INTO things (key, id, owner, serial, change) VALUES ",
		" ON CONFLICT (key) DO UPDATE SET serial = excluded.serial, change = excluded.change", 5, things)
	if err != nil {
		return err
	}
	return b.insertMany(ctx, tx, "INSERT INTO datastreams (id, thing, change) VALUES ",
		" ON CONFLICT (id) DO UPDATE SET change = excluded.change", 3, streams)
}

// insertMany writes rows a hundred to a statement: one by one costs three times as much in the driver.
func (b *backend) insertMany(ctx context.Context, tx *sql.Tx, head, tail string, columns int, values []any) error {
	const rows = 100
	text := func(n int) string { return head + b.parameters(n, columns) + tail }
	if len(values) >= rows*columns {
		full, err := tx.PrepareContext(ctx, text(rows))
		if err != nil {
			return err
		}
		defer full.Close()
		for ; len(values) >= rows*columns; values = values[rows*columns:] {
			if _, err := full.ExecContext(ctx, values[:rows*columns]...); err != nil {
				return err
			}
		}
	}
	if len(values) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, text(len(values)/columns), values...)
	return err
}

// parameters gives "($1,$2),($3,$4)" for two rows of two columns.
func (b *backend) parameters(rows, columns int) string {
	var s strings.Builder
	for i := range rows * columns {
		switch {
		case i == 0:
			s.WriteByte('(')
		case i%columns == 0:
			s.WriteString("),(")
		default:
			s.WriteByte(',')
		}
		s.WriteString(b.words.parameter(i + 1))
	}
	s.WriteByte(')')
	return s.String()
}
