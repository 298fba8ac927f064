package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/pkg/sensor"
)

// Declarations makes sure that the registry hears every declaration of a bus whose ingesters are other processes. The
// Feed begins where those stand, which may be far beyond what the registry has heard: they went on while it was away.
// What lies between is read for its declarations alone, beside the Feed, whose Hold tells how far it is itself.
//
// How far the registry has heard is kept in a file beside it. If the file is lost, everything the bus still has is
// heard again, which changes nothing; the file is never ahead of the registry.
type Declarations struct {
	cfg DeclarationsConfig

	mu    sync.Mutex // guards what follows
	parts map[int32]*hearing
	saved map[int32]heard // what the file holds
}

// DeclarationsConfig says what is read and who hears it. Every field is needed.
type DeclarationsConfig struct {
	Log      bus.Log
	Registry *registry.Registry
	Path     string
	Logger   *slog.Logger
}

// heard is how far the registry is in one partition: everything before Offset.
type heard struct {
	Log    string `json:"log"`
	Offset int64  `json:"offset"`
}

// hearing is one partition at work.
type hearing struct {
	begin  int64  // where the Feed began
	feed   int64  // where it is
	behind *heard // what is being read up to begin; nil = not begun
	caught bool   // all before begin has been heard, so the Feed's place is the registry's
}

const declarationsEvery = time.Second

// OpenDeclarations reads the file. One that cannot be understood is left aside.
func OpenDeclarations(cfg DeclarationsConfig) (*Declarations, error) {
	d := &Declarations{cfg: cfg, parts: map[int32]*hearing{}, saved: map[int32]heard{}}
	b, err := os.ReadFile(cfg.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read how far the registry has heard: %w", err)
	}
	if err := json.Unmarshal(b, &d.saved); err != nil {
		d.saved = map[int32]heard{}
		cfg.Logger.Warn("left aside: declarations are read from the bus's beginning", "component", "registry", "path", cfg.Path, "err", err)
	}
	return d, nil
}

// Hold is Feed.Hold. It keeps nothing from being freed: a bus of other processes frees by age.
func (d *Declarations) Hold(part int32, offset int64) (func(int64), error) {
	h := &hearing{begin: offset, feed: offset}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.parts[part] = h
	return func(next int64) {
		d.mu.Lock()
		defer d.mu.Unlock()
		h.feed = next
	}, nil
}

// Run reads what was missed and keeps the file, until ctx ends.
func (d *Declarations) Run(ctx context.Context) error {
	tick := time.NewTicker(declarationsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return d.save()
		}
		for _, part := range d.missed() {
			if err := d.catchUp(ctx, part); err != nil && ctx.Err() == nil {
				return fmt.Errorf("declarations of partition %d: %w", part, err)
			}
		}
		if err := d.save(); err != nil { // costs reading again after a restart, no more
			d.cfg.Logger.Warn("not noted how far the registry has heard", "component", "registry", "err", err)
		}
	}
}

// missed lists the partitions in which the Feed has begun and what lies before it has not been looked at.
func (d *Declarations) missed() (parts []int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for part, h := range d.parts {
		if !h.caught {
			parts = append(parts, part)
		}
	}
	return parts
}

// catchUp reads one partition from where the registry stands to where the Feed began.
func (d *Declarations) catchUp(ctx context.Context, part int32) error {
	id, err := d.cfg.Log.ID(ctx, part)
	if err != nil {
		return err
	}
	d.mu.Lock()
	h, at := d.parts[part], d.saved[part]
	d.mu.Unlock()
	if at.Log != id.String() {
		at = heard{Log: id.String()} // another log, or a registry that has never heard of any
	}
	for at.Offset < h.begin {
		if at.Offset, err = d.hear(ctx, part, at.Offset, h.begin); err != nil {
			return err
		}
		d.note(h, at)
		if err := d.save(); err != nil {
			d.cfg.Logger.Warn("not noted how far the registry has heard", "component", "registry", "err", err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h.behind, h.caught = &at, true
	return nil
}

func (d *Declarations) note(h *hearing, at heard) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h.behind = &at
}

// hear takes one step from offset towards end.
func (d *Declarations) hear(ctx context.Context, part int32, offset, end int64) (int64, error) {
	first, _, err := d.cfg.Log.Bounds(ctx, part)
	if err != nil {
		return offset, err
	}
	if first > offset {
		if offset > 0 {
			d.cfg.Logger.Warn("the bus has freed messages the registry never read: Things that only they declared are unknown until they speak again",
				"component", "registry", "partition", part, "from", offset, "to", first)
		}
		return min(first, end), nil
	}
	var b sensor.Batch
	next, err := fetchPatiently(ctx, d.cfg.Log, d.cfg.Logger, part, offset, end, &b, nil)
	if errors.Is(err, bus.ErrOffset) && ctx.Err() == nil {
		if now, _, berr := d.cfg.Log.Bounds(ctx, part); berr == nil && now > offset {
			return offset, nil // freed meanwhile; the next step says so
		}
	}
	if err != nil {
		return offset, err
	}
	if err := declarePatiently(ctx, d.cfg.Registry, d.cfg.Logger, b.Declarations); err != nil {
		return offset, err
	}
	return next, nil
}

// save writes the file if there is something new.
func (d *Declarations) save() error {
	d.mu.Lock()
	now := maps.Clone(d.saved)
	for part, h := range d.parts {
		if h.behind == nil {
			continue
		}
		at := *h.behind
		if h.caught {
			at.Offset = max(at.Offset, h.feed)
		}
		now[part] = at
	}
	d.mu.Unlock()
	if maps.Equal(now, d.saved) {
		return nil
	}
	if err := writeFile(d.cfg.Path, now); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.saved = now
	return nil
}

// writeFile puts a file in the place of another, whole and durable.
func writeFile(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
