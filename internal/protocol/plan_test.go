package protocol

import (
	"errors"
	"strings"
	"testing"

	"github.com/situ-city/situ/pkg/sensor"
)

func TestPlan(t *testing.T) {
	wm := map[sensor.Producer]uint64{{Gateway: "g"}: 9}
	block := func(from, to int64) StoredBlock {
		return StoredBlock{From: from, To: to, Watermarks: wm}
	}
	meta := func(from, to int64, first bool) string {
		return (&Intent{Version: 1, Log: "L", From: from, To: to, First: first, Schema: 5}).Encode()
	}
	at := func(offset int64, meta string) Position { return Position{Offset: offset, Meta: meta} }
	for _, c := range []struct {
		name string
		k    Known
		want Plan // watermarks: nil or wm
		err  error
		says string // what the error tells a person to do
	}{
		{"nothing was ever done", Known{First: 1, Next: 50, Committed: at(-1, "")}, Plan{First: true, Offset: 1, Strange: 50}, nil, ""},
		{"first block, died before its rows", Known{First: 1, Next: 50, Committed: at(1, meta(1, 20, true))},
			Plan{First: true, Offset: 1}, nil, ""},
		{"first block, died before its last commit", Known{First: 1, Next: 50, Committed: at(1, meta(1, 20, true)), Newest: block(1, 20), NewestFound: true},
			Plan{First: true, Offset: 1, Stored: true}, nil, ""},
		{"clean stop", Known{First: 15, Next: 50, Committed: at(20, ""), Newest: block(1, 20), NewestFound: true, Before: block(1, 20), BeforeFound: true},
			Plan{Watermarks: wm, Offset: 20}, nil, ""},
		{"died in a block", Known{First: 15, Next: 50, Committed: at(20, meta(20, 30, false)), Newest: block(1, 20), NewestFound: true, Before: block(1, 20), BeforeFound: true},
			Plan{Watermarks: wm, Offset: 20}, nil, ""},
		{"died after a block's record", Known{First: 15, Next: 50, Committed: at(20, meta(20, 30, false)), Newest: block(20, 30), NewestFound: true, Before: block(1, 20), BeforeFound: true},
			Plan{Watermarks: wm, Offset: 20, Stored: true}, nil, ""},
		{"the store lost a block, the log still has it", Known{First: 5, Next: 50, Committed: at(20, ""), Newest: block(1, 10), NewestFound: true, Before: block(1, 10), BeforeFound: true},
			Plan{Watermarks: wm, Offset: 10, Strange: 20}, nil, ""},
		{"the store lost a block while another was under way", Known{First: 5, Next: 50, Committed: at(20, meta(20, 30, false)), Newest: block(1, 10), NewestFound: true, Before: block(1, 10), BeforeFound: true},
			Plan{Watermarks: wm, Offset: 10, Strange: 30}, nil, ""},
		{"the log ends before the commit", Known{First: 1, Next: 15, Committed: at(20, ""), Newest: block(1, 20), NewestFound: true, Before: block(1, 20), BeforeFound: true},
			Plan{}, ErrLogShrank, "bring the log back"},
		{"the log ends inside the block under way", Known{First: 1, Next: 25, Committed: at(20, meta(20, 30, false)), Newest: block(1, 20), NewestFound: true, Before: block(1, 20), BeforeFound: true},
			Plan{}, ErrLogShrank, "bring the log back"},
		{"the store lost a block, and the log trimmed", Known{First: 15, Next: 50, Committed: at(20, ""), Newest: block(1, 10), NewestFound: true, Before: block(1, 10), BeforeFound: true},
			Plan{}, ErrStoreBehind, "bring the newest back"},
		{"another store", Known{First: 15, Next: 50, Committed: at(20, "")}, Plan{}, ErrStoreBehind, "remove the group's commits"},
		{"another store, in a block", Known{First: 15, Next: 50, Committed: at(20, meta(20, 30, false))}, Plan{}, ErrStoreBehind, "connect the one that has them"},
		{"commits are gone", Known{First: 1, Next: 50, Committed: at(-1, ""), Newest: block(20, 30), NewestFound: true}, Plan{}, ErrCommitsBehind, "bring the commit file back"},
		{"commits are old", Known{First: 1, Next: 50, Committed: at(20, meta(20, 30, false)), Newest: block(30, 40), NewestFound: true, Before: block(1, 20), BeforeFound: true},
			Plan{}, ErrCommitsBehind, "is an old copy"},
		{"another log", Known{First: 1, Next: 50, Committed: at(20, strings.ReplaceAll(meta(20, 30, false), `"L"`, `"K"`))}, Plan{}, ErrLogReplaced, "bring the old log back"},
		{"a newer situ", Known{First: 1, Next: 50, Committed: at(20, strings.ReplaceAll(meta(20, 30, false), `"schema":5`, `"schema":6`))}, Plan{}, ErrIntent, "use the newer one"},
		{"not JSON", Known{Committed: at(20, "hello")}, Plan{}, ErrIntent, "use that one"},
		{"another version", Known{Committed: at(20, strings.ReplaceAll(meta(20, 30, false), `"v":1`, `"v":2`))}, Plan{}, ErrIntent, "use that one"},
		{"an intent from elsewhere", Known{Committed: at(21, meta(20, 30, false))}, Plan{}, ErrIntent, ""},
		{"an empty intent", Known{Committed: at(20, meta(20, 20, false))}, Plan{}, ErrIntent, ""},
	} {
		c.k.Log, c.k.Schema = "L", 5
		got, err := MakePlan(c.k)
		if !errors.Is(err, c.err) || c.err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v saying %q", c.name, err, c.err, c.says)
			continue
		}
		if err != nil {
			continue
		}
		if (got.Replay != nil) != (c.k.Committed.Meta != "" && got.Offset == c.k.Committed.Offset) || len(got.Watermarks) != len(c.want.Watermarks) ||
			got.First != c.want.First || got.Offset != c.want.Offset || got.Stored != c.want.Stored ||
			got.Strange != c.want.Strange {
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
	if c, ok := p.rest(); !ok || c != (Position{Offset: 20}) {
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
