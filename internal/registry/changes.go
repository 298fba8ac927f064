package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

// Change is one line of the feed: the whole new state of one Thing or of one Datastream, exactly one of the two.
// Number is also the Version inside, so a table that keeps the greatest Version a key holds the newest state however
// often and in whatever order changes are written into it.
type Change struct {
	Number     uint64             `json:"number"`
	At         time.Time          `json:"at"` // UTC, milliseconds
	Thing      *sensor.Thing      `json:"thing,omitempty"`
	Datastream *sensor.Datastream `json:"datastream,omitempty"`
}

// Page is what GET /v1/registry/changes answers.
type Page struct {
	Registry string   `json:"registry"` // Registry.ID: a follower that knows another one starts over
	Head     uint64   `json:"head"`     // number of the newest change there is
	Changes  []Change `json:"changes"`
	Next     uint64   `json:"next"` // the next call's since
}

// DefaultPage and MaxPage bound the changes of one call.
const (
	DefaultPage = 1000
	MaxPage     = 10000
)

const (
	kindThing      = 1
	kindDatastream = 2
)

// Changes lists the changes with numbers above since, oldest first: at most limit (0 = DefaultPage) of them. next is
// the since of the next call; next == since means there are no more now.
func (r *Registry) Changes(ctx context.Context, since uint64, limit int) (changes []Change, next uint64, err error) {
	switch {
	case limit <= 0:
		limit = DefaultPage
	case limit > MaxPage:
		limit = MaxPage
	}
	err = r.again(ctx, func(ctx context.Context) error {
		changes, next = nil, since
		return readChanges(ctx, r.read, since, limit, func(c Change) error {
			changes, next = append(changes, c), c.Number
			return nil
		})
	})
	return changes, next, err
}

// Page is Changes in the form of the HTTP answer.
func (r *Registry) Page(ctx context.Context, since uint64, limit int) (Page, error) {
	changes, next, err := r.Changes(ctx, since, limit)
	s := r.Snapshot()
	page := Page{Registry: s.id, Head: s.version, Changes: changes, Next: next}
	if len(changes) == 0 {
		page.Changes = []Change{} // JSON: [], not null
	} else {
		page.Head = max(page.Head, next) // another process wrote them
	}
	return page, err
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// readChanges calls fn for each change above since in order; limit < 0 means all.
func readChanges(ctx context.Context, q querier, since uint64, limit int, fn func(Change) error) error {
	most := int64(limit)
	if limit < 0 {
		most = math.MaxInt64
	}
	rows, err := q.QueryContext(ctx,
		"SELECT number, at, kind, doc FROM changes WHERE number > $1 ORDER BY number LIMIT $2", int64(since), most)
	if err != nil {
		return fmt.Errorf("read changes since %d: %w", since, err)
	}
	defer rows.Close()
	for rows.Next() {
		var number, at int64
		var kind int
		var doc sql.RawBytes
		if err := rows.Scan(&number, &at, &kind, &doc); err != nil {
			return fmt.Errorf("read changes since %d: %w", since, err)
		}
		c, err := decodeChange(number, at, kind, doc)
		if err != nil {
			return err
		}
		if err := fn(c); err != nil {
			return err
		}
	}
	return rows.Err()
}

func decodeChange(number, at int64, kind int, doc []byte) (Change, error) {
	c := Change{Number: uint64(number), At: time.UnixMilli(at).UTC()}
	var err error
	switch kind {
	case kindThing:
		c.Thing = new(sensor.Thing)
		err = json.Unmarshal(doc, c.Thing)
	case kindDatastream:
		c.Datastream = new(sensor.Datastream)
		err = json.Unmarshal(doc, c.Datastream)
	}
	if err != nil {
		return c, fmt.Errorf("change %d: %w: %w", number, ErrCorrupt, err)
	}
	return c, nil
}

// apply puts a change that was already accepted elsewhere into the draft.
func (d *draft) apply(c Change) error {
	var err error
	switch {
	case c.Thing != nil:
		_, err = d.putThing(c.Thing)
	case c.Datastream != nil:
		err = d.putDatastream(c.Datastream)
	}
	if err != nil {
		return fmt.Errorf("change %d: %w", c.Number, err)
	}
	return nil
}
