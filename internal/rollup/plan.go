package rollup

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// job is one recompute and the spans that it clears.
type job struct {
	store.RollupRange
	spans []store.DirtySpan
	split bool // a month is cut into days instead
}

const (
	maxRegions = 48 // from here on all regions are computed: a list longer than this reads no less
	maxParts   = 24 // of a job
	day        = 86400
)

// bucket is an hour, or a day, of one level: dirty spans inside it make one part of a job.
type bucket struct {
	level store.RollupLevel
	begin int64
	wide  bool // spans of a whole day
}

type content struct {
	from, to int64
	all      bool
	regions  []uint64
	streams  []sensor.DatastreamID
	spans    []store.DirtySpan
}

// afterInputs leaves out what would have to be judged again in a moment, because what it is judged from is on the list too.
func afterInputs(list []store.Waiting) []store.Waiting {
	type hour struct {
		judged bool
		begin  int64
	}
	busy := map[hour]bool{}
	for _, d := range list {
		if d.End()-d.Window <= day && d.Level != store.Rollup1d && d.Level != store.Judge1d {
			for h := d.Window - d.Window%3600; h < d.End(); h += 3600 {
				busy[hour{d.Level.Judges(), h}] = true
			}
		}
	}
	return slices.DeleteFunc(list, func(d store.Waiting) bool {
		if d.Level.Judges() {
			for h := d.Window; h < d.End(); h += 3600 {
				if busy[hour{d.Level == store.Judge1d, h}] {
					return true
				}
			}
		}
		return false
	})
}

// plan makes jobs of dirty spans: newest day first, in it lower levels first, then newest first.
func (w *Worker) plan(ctx context.Context, list []store.Waiting) (jobs []job, err error) {
	buckets := map[bucket]*content{}
	var months []job
	for _, d := range list {
		if d.End()-d.Window > day {
			months = append(months, job{RollupRange: store.RollupRange{Level: d.Level}, spans: []store.DirtySpan{d.DirtySpan}, split: true})
			continue
		}
		b := bucket{level: d.Level, begin: d.Window - d.Window%3600, wide: d.Span == day}
		if buckets[b] == nil {
			buckets[b] = &content{from: d.Window, to: d.End()}
		}
		buckets[b].add(d.DirtySpan)
	}
	keys := slices.SortedFunc(maps.Keys(buckets), func(a, b bucket) int {
		return cmp.Or(cmp.Compare(b.begin/day, a.begin/day), cmp.Compare(a.level, b.level), cmp.Compare(b.begin, a.begin))
	})
	for i, b := range keys {
		c := buckets[b]
		if err := w.resolve(ctx, c); err != nil {
			return nil, err
		}
		n := len(jobs)
		if i == 0 || keys[i-1].level != b.level || keys[i-1].begin/day != b.begin/day || len(jobs[n-1].Parts) >= maxParts {
			jobs, n = append(jobs, job{RollupRange: store.RollupRange{Level: b.level}}), n+1
		}
		j := &jobs[n-1]
		j.spans = append(j.spans, c.spans...)
		if p, any := c.part(); any {
			j.Parts = append(j.Parts, p)
		}
	}
	return append(jobs, months...), nil
}

func (c *content) add(d store.DirtySpan) {
	c.from, c.to = min(c.from, d.Window), max(c.to, d.End())
	c.spans = append(c.spans, d)
	switch {
	case d.Datastream != 0:
		c.streams = append(c.streams, d.Datastream)
	case d.Region == store.AllRegions:
		c.all = true
	default:
		c.regions = append(c.regions, d.Region)
	}
}

// resolve looks up where Datastreams stood whose rows were repeated: the row that lost may be in another region.
func (w *Worker) resolve(ctx context.Context, c *content) error {
	if c.all || len(c.streams) == 0 {
		return nil
	}
	slices.Sort(c.streams)
	regions, err := w.opt.Store.RollupRegions(ctx, c.from, c.to, slices.Compact(c.streams))
	c.regions = append(c.regions, regions...)
	return err
}

// part is what is to be recomputed; nothing where there are only Datastreams without rows.
func (c *content) part() (p store.RollupPart, any bool) {
	p = store.RollupPart{From: c.from, To: c.to}
	slices.Sort(c.regions)
	c.regions = slices.Compact(c.regions)
	if c.all || len(c.regions) > maxRegions {
		return p, true
	}
	p.Regions = c.regions
	return p, len(c.regions) > 0
}

// halves cuts a range in two: its parts; a single part by time; a single window by region.
func halves(r store.RollupRange) (one, two store.RollupRange, ok bool) {
	one, two = r, r
	if n := len(r.Parts); n != 1 {
		one.Parts, two.Parts = r.Parts[:n/2], r.Parts[n/2:]
		return one, two, n > 1
	}
	a, b := r.Parts[0], r.Parts[0]
	length := int64(r.Level.Window().Seconds())
	if n := (a.To - a.From) / length; n > 1 {
		a.To = a.From + n/2*length
		b.From = a.To
	} else {
		n := len(a.Regions)
		a.Regions, b.Regions, ok = a.Regions[:n/2], a.Regions[n/2:], n > 1
		if !ok {
			return r, r, false
		}
	}
	one.Parts, two.Parts = []store.RollupPart{a}, []store.RollupPart{b}
	return one, two, true
}

// oneWindow: a range that can only be cut by region, and names none.
func oneWindow(r store.RollupRange) bool {
	return len(r.Parts) == 1 && len(r.Parts[0].Regions) == 0 && r.Parts[0].To-r.Parts[0].From == int64(r.Level.Window().Seconds())
}
