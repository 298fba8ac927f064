package ingester

import (
	"errors"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestPlan(t *testing.T) {
	wm := map[sensor.Producer]uint64{{Gateway: "g"}: 9}
	block := func(from, to int64) store.StoredBlock {
		return store.StoredBlock{From: from, To: to, Watermarks: wm}
	}
	meta := func(from, to int64, first bool) string {
		return (&intent{Version: 1, Log: "L", From: from, To: to, First: first, Schema: 5}).encode()
	}
	at := func(offset int64, meta string) bus.Position { return bus.Position{Offset: offset, Meta: meta} }
	for _, c := range []struct {
		name string
		k    known
		want plan // watermarks: nil or wm
		err  error
		says string // what the error tells a person to do
	}{
		{"nothing was ever done", known{first: 1, next: 50, committed: at(-1, "")}, plan{first: true, readFrom: 1, offset: 1}, nil, ""},
		{"first block, died before its rows", known{first: 1, next: 50, committed: at(1, meta(1, 20, true))},
			plan{first: true, readFrom: 1, offset: 1}, nil, ""},
		{"first block, died before its last commit", known{first: 1, next: 50, committed: at(1, meta(1, 20, true)), newest: block(1, 20), newestFound: true},
			plan{first: true, readFrom: 1, offset: 1, stored: true}, nil, ""},
		{"clean stop", known{first: 15, next: 50, committed: at(20, ""), newest: block(1, 20), newestFound: true, before: block(1, 20), beforeFound: true},
			plan{watermarks: wm, readFrom: 20, offset: 20}, nil, ""},
		{"died in a block", known{first: 15, next: 50, committed: at(20, meta(20, 30, false)), newest: block(1, 20), newestFound: true, before: block(1, 20), beforeFound: true},
			plan{watermarks: wm, readFrom: 20, offset: 20}, nil, ""},
		{"died after a block's record", known{first: 15, next: 50, committed: at(20, meta(20, 30, false)), newest: block(20, 30), newestFound: true, before: block(1, 20), beforeFound: true},
			plan{watermarks: wm, readFrom: 20, offset: 20, stored: true}, nil, ""},
		{"the last record is lost, the log still has the block", known{first: 5, next: 50, committed: at(20, ""), newest: block(1, 10), newestFound: true, before: block(1, 10), beforeFound: true},
			plan{watermarks: wm, readFrom: 10, offset: 20}, nil, ""},
		{"the last record is lost, and the log trimmed", known{first: 15, next: 50, committed: at(20, ""), newest: block(1, 10), newestFound: true, before: block(1, 10), beforeFound: true},
			plan{}, ErrStoreBehind, "bring the newest back"},
		{"another store", known{first: 15, next: 50, committed: at(20, "")}, plan{}, ErrStoreBehind, "remove the group's commits"},
		{"another store, in a block", known{first: 15, next: 50, committed: at(20, meta(20, 30, false))}, plan{}, ErrStoreBehind, "connect the one that has them"},
		{"commits are gone", known{first: 1, next: 50, committed: at(-1, ""), newest: block(20, 30), newestFound: true}, plan{}, ErrCommitsBehind, "bring the commit file back"},
		{"commits are old", known{first: 1, next: 50, committed: at(20, meta(20, 30, false)), newest: block(30, 40), newestFound: true, before: block(1, 20), beforeFound: true},
			plan{}, ErrCommitsBehind, "is an old copy"},
		{"another log", known{first: 1, next: 50, committed: at(20, strings.ReplaceAll(meta(20, 30, false), `"L"`, `"K"`))}, plan{}, ErrLogReplaced, "bring the old log back"},
		{"a newer situ", known{first: 1, next: 50, committed: at(20, strings.ReplaceAll(meta(20, 30, false), `"schema":5`, `"schema":6`))}, plan{}, ErrIntent, "use the newer one"},
		{"not JSON", known{committed: at(20, "hello")}, plan{}, ErrIntent, "use that one"},
		{"another version", known{committed: at(20, strings.ReplaceAll(meta(20, 30, false), `"v":1`, `"v":2`))}, plan{}, ErrIntent, "use that one"},
		{"an intent from elsewhere", known{committed: at(21, meta(20, 30, false))}, plan{}, ErrIntent, ""},
		{"an empty intent", known{committed: at(20, meta(20, 20, false))}, plan{}, ErrIntent, ""},
	} {
		c.k.log, c.k.schema = "L", 5
		got, err := makePlan(c.k)
		if !errors.Is(err, c.err) || c.err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v saying %q", c.name, err, c.err, c.says)
			continue
		}
		if err != nil {
			continue
		}
		if (got.replay != nil) != (c.k.committed.Meta != "") || len(got.watermarks) != len(c.want.watermarks) ||
			got.first != c.want.first || got.readFrom != c.want.readFrom || got.offset != c.want.offset || got.stored != c.want.stored {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestPositionKeepsItsOrder(t *testing.T) {
	p := position{log: "L", schema: 5, first: true, offset: 10}
	if _, ok := p.rest(); ok {
		t.Error("a commit although nothing was stored")
	}
	c, err := p.begin(20, 7)
	if err != nil || c.Offset != 10 || c.Meta != `{"v":1,"log":"L","from":10,"to":20,"first":true,"schema":5,"registry":7}` {
		t.Errorf("begin: %+v %v", c, err)
	}
	if _, err := p.begin(30, 0); err == nil {
		t.Error("a second block began while the first was under way")
	}
	if _, ok := p.rest(); ok {
		t.Error("the offset moved while a block was under way")
	}
	p.stored()
	if c, ok := p.rest(); !ok || c != (bus.Position{Offset: 20}) {
		t.Errorf("rest: %+v %v", c, ok)
	}
	if _, ok := p.rest(); ok {
		t.Error("the same offset is committed twice")
	}
	if _, err := p.begin(20, 0); err == nil {
		t.Error("an empty block began")
	}
	if c, err := p.begin(21, 0); err != nil || strings.Contains(c.Meta, "first") {
		t.Errorf("second block: %+v %v", c, err)
	}
}
