package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/situ-city/situ/pkg/sensor"
)

// PutThing registers a Thing with Datastreams, all or nothing, or replaces the Thing with that id; Datastreams not
// named stay as they are. It returns what is now registered; to say the same again changes nothing.
//
// t.Version 0 writes whatever is there; any other must be the registered one, else ErrVersion. A Thing without
// Original is taken to mean its Location, in WGS 84. Placed, Location, Cell and (where it is 0) Division are computed.
// A Datastream's ID and Thing may be left zero. Neither t nor streams are kept or changed.
func (r *Registry) PutThing(ctx context.Context, t *sensor.Thing, streams ...*sensor.Datastream) (*sensor.Thing, error) {
	var stored *sensor.Thing
	err := r.update(ctx, func(b *batch) (err error) {
		if old, ok := b.Thing(t.ID); t.Version != 0 && (!ok || old.Version != t.Version) {
			return fmt.Errorf("put %s over version %d: %w", t.ID, t.Version, ErrVersion)
		}
		if stored, _, err = b.declaredThing(t); err != nil {
			return err
		}
		for _, d := range streams {
			if err := b.declaredStream(t.ID, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("put %s: %w", t.ID, err)
	}
	return stored, nil
}

// PutDatastream registers or replaces one Datastream of a registered Thing, and returns what is now registered.
// ID may be zero; otherwise it must be the id that the other parts make.
func (r *Registry) PutDatastream(ctx context.Context, d *sensor.Datastream) (*sensor.Datastream, error) {
	err := r.update(ctx, func(b *batch) error { return b.declaredStream(d.Thing, d) })
	if err != nil {
		return nil, fmt.Errorf("put datastream: %w", err)
	}
	id := sensor.NewDatastreamID(d.Thing, d.Property, d.Statistic, d.SourceKey)
	stored, _ := r.Snapshot().Datastream(id)
	return stored, nil
}

// declaredThing is the owner's word on a Thing.
func (b *batch) declaredThing(t *sensor.Thing) (stored *sensor.Thing, changed bool, err error) {
	next := *t
	next.Auto, next.Scenes = false, slices.Clone(t.Scenes)
	if err := CheckThing(&next); err != nil {
		return nil, false, err
	}
	if old, known := b.Thing(t.ID); known {
		b.r.releaseDivision(old, &next)
	}
	b.r.place(&next)
	return b.thing(&next)
}

// declaredStream is the owner's word on one Datastream of thing.
func (b *batch) declaredStream(thing sensor.ThingID, d *sensor.Datastream) error {
	next := cloneStream(d)
	next.Auto = false
	if next.Thing == "" {
		next.Thing = thing
	}
	if next.Thing != thing {
		return &FieldError{"thing", fmt.Sprintf("%s is not %s, whose Datastream this is to be", next.Thing, thing)}
	}
	if err := checkDeclared(next, b.r.opt.Catalogue); err != nil {
		return err
	}
	_, err := b.datastream(next)
	return err
}

func cloneStream(d *sensor.Datastream) *sensor.Datastream {
	c := *d
	for _, p := range []**float64{&c.Min, &c.Max, &c.Rate, &c.StillS} {
		if *p != nil {
			v := **p
			*p = &v
		}
	}
	return &c
}

// Declare takes in what first readings declared (auto-register), in one transaction, and reports how many Things and
// Datastreams are new. To declare again changes nothing; what an owner declared is never touched; an auto-registered
// Thing that had no position takes a later one. A Datastream whose Thing is unknown brings an auto-registered Thing
// with it. A declaration that makes no sense is logged and skipped: it must not hold up the others.
func (r *Registry) Declare(ctx context.Context, declarations []sensor.Declaration) (fresh int, err error) {
	if r.knowsAll(declarations) {
		return 0, nil
	}
	err = r.update(ctx, func(b *batch) error {
		fresh = 0
		var refused int
		var first error
		for i := range declarations {
			n, err := b.declare(&declarations[i])
			fresh += n
			if err != nil {
				refused, first = refused+1, firstOf(first, err)
			}
		}
		if refused > 0 {
			r.opt.Logger.Warn("declarations refused", "component", "registry", "refused", refused,
				"of", len(declarations), "err", first)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("declare %d: %w", len(declarations), err)
	}
	return fresh, nil
}

func firstOf(first, err error) error {
	if first != nil {
		return first
	}
	return err
}

// knowsAll spares a transaction for what is repeated, which is the usual case after a gateway's restart.
func (r *Registry) knowsAll(declarations []sensor.Declaration) bool {
	s := r.Snapshot()
	for i := range declarations {
		d := &declarations[i]
		if d.Thing != nil {
			if old, ok := s.Thing(d.Thing.ID); !ok || takesPlace(old, d.Thing) {
				return false
			}
		}
		if d.Datastream != nil {
			if _, ok := s.Datastream(d.Datastream.ID); !ok {
				return false
			}
		}
	}
	return true
}

// takesPlace reports whether the auto-registered Thing old learns its position from next.
func takesPlace(old, next *sensor.Thing) bool {
	return old.Auto && !old.Placed && next.Placed
}

func (b *batch) declare(d *sensor.Declaration) (fresh int, err error) {
	if d.Thing != nil {
		if fresh, err = b.declareThing(d.Thing); err != nil {
			return 0, err
		}
	}
	if d.Datastream == nil {
		return fresh, nil
	}
	next := cloneStream(d.Datastream)
	next.Auto = true
	if err := CheckDatastream(next); err != nil {
		return fresh, err
	}
	if _, known := b.Datastream(next.ID); known {
		return fresh, nil
	}
	if _, known := b.Thing(next.Thing); !known {
		n, err := b.declareThing(&sensor.Thing{ID: next.Thing})
		if err != nil {
			return fresh, err
		}
		fresh += n
	}
	if _, err := b.datastream(next); err != nil {
		return fresh, err
	}
	return fresh + 1, nil
}

func (b *batch) declareThing(t *sensor.Thing) (fresh int, err error) {
	old, known := b.Thing(t.ID)
	if known && !takesPlace(old, t) {
		return 0, nil
	}
	next := *t
	next.Auto, next.Scenes = true, slices.Clone(t.Scenes)
	if err := CheckThing(&next); err != nil {
		return 0, err
	}
	b.r.place(&next)
	if _, _, err := b.thing(&next); err != nil || known {
		return 0, err
	}
	return 1, nil
}
