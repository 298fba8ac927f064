package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// revision makes a row of message seq of batch(): how it speaks from now on.
func revision(v *store.Revision, seq uint64, number uint16, retracted bool, o sensor.Observation) *store.Revision {
	v.Append(messageOf(seq), store.Standing{Observation: o, Revision: number, Retracted: retracted})
	return v
}

func messageOf(seq uint64) store.Message {
	return store.Message{Producer: producer, Seq: seq, Arrival: noon + int64(seq) - 1}
}

// shown is what people see of Datastreams 10 and 11 now, by every way of asking.
func shown(t *testing.T, f *fixture) (history map[store.Pair]float64) {
	t.Helper()
	history = map[store.Pair]float64{}
	rows, err := f.conn.Query(t.Context(), "SELECT datastream, toUnixTimestamp64Milli(phenomenon_time), result FROM "+f.db+".history")
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var id uint64
		var at int64
		var result float64
		must(t, rows.Scan(&id, &at, &result))
		p := store.Pair{Datastream: sensor.DatastreamID(id), PhenomenonTime: at}
		if _, twice := history[p]; twice {
			t.Errorf("history has %v twice", p)
		}
		history[p] = result
	}
	must(t, rows.Err())
	newest := map[sensor.DatastreamID]store.Pair{}
	paged := map[store.Pair]float64{}
	for p := range history {
		if n, ok := newest[p.Datastream]; !ok || p.PhenomenonTime > n.PhenomenonTime {
			newest[p.Datastream] = p
		}
	}
	for _, id := range []sensor.DatastreamID{10, 11, 12, 13} {
		points, _, err := f.Observations(t.Context(), id, noon-86400_000, noon+86400_000, 1000, "")
		must(t, err)
		for _, p := range points {
			paged[store.Pair{Datastream: id, PhenomenonTime: p.Time}] = p.Result
		}
	}
	if !maps.Equal(paged, history) {
		t.Errorf("Observations gives %v, history %v", paged, history)
	}
	want := map[store.Pair]float64{}
	for _, p := range newest {
		want[p] = history[p]
	}
	latest := map[store.Pair]float64{}
	must(t, f.Latest(t.Context(), 0, func(b *sensor.Batch) error {
		for i := range b.Len() {
			latest[store.Pair{Datastream: b.Datastream[i], PhenomenonTime: b.PhenomenonTime[i]}] = b.Result[i]
		}
		return nil
	}))
	if !maps.Equal(latest, want) {
		t.Errorf("Latest gives %v, want %v", latest, want)
	}
	for p, result := range want {
		if got := f.number(t, fmt.Sprintf("SELECT toUInt64(countIf(result = %v AND toUnixTimestamp64Milli(phenomenon_time) = %d)) FROM %s.latest WHERE datastream = %d",
			result, p.PhenomenonTime, f.db, p.Datastream)); got != 1 {
			t.Errorf("the view latest has %d rows of %v, %v", got, p, result)
		}
	}
	if n := f.count(t, "latest"); n != uint64(len(want)) {
		t.Errorf("the view latest has %d rows, want %d", n, len(want))
	}
	return history
}

// A correction that came later stands whatever is read again before it, unless it says nothing any more itself.
func testRevised(t *testing.T, f *fixture) {
	f.migrate(t)
	p, q, r := observation(10, noon, 1), observation(10, noon+1000, 5), observation(11, noon, 9)
	corrected := observation(10, noon, 2)
	b := block(0, batch(1, []sensor.Observation{p, q, r}, []sensor.Observation{corrected}))
	b.Repeats = []store.Pair{{Datastream: 10, PhenomenonTime: noon}}
	insert(t, f, b, false)
	at := func(id sensor.DatastreamID, ms int64) store.Pair {
		return store.Pair{Datastream: id, PhenomenonTime: noon + ms}
	}
	with := func(o sensor.Observation, result float64, lag int64) sensor.Observation {
		o.Result, o.ResultTime = result, o.PhenomenonTime+lag
		return o
	}
	for i, step := range []struct {
		v    *store.Revision
		want map[store.Pair]float64
	}{
		{new(store.Revision), map[store.Pair]float64{at(10, 0): 2, at(10, 1000): 5, at(11, 0): 9}},
		// The older message says something else: the correction stands.
		{revision(new(store.Revision), 1, 1, false, with(p, 100, 0)), map[store.Pair]float64{at(10, 0): 2, at(10, 1000): 5, at(11, 0): 9}},
		// The correction says nothing of it any more.
		{revision(new(store.Revision), 2, 1, true, corrected), map[store.Pair]float64{at(10, 0): 100, at(10, 1000): 5, at(11, 0): 9}},
		// It says something again, and has a result of before.
		{revision(new(store.Revision), 2, 2, false, with(corrected, 3, -60_000)), map[store.Pair]float64{at(10, 0): 100, at(10, 1000): 5, at(11, 0): 9}},
		{revision(new(store.Revision), 2, 3, false, with(corrected, 4, 0)), map[store.Pair]float64{at(10, 0): 4, at(10, 1000): 5, at(11, 0): 9}},
		// The newest of a Datastream goes, then all of it, then all of another.
		{revision(new(store.Revision), 1, 1, true, q), map[store.Pair]float64{at(10, 0): 4, at(11, 0): 9}},
		{revision(revision(new(store.Revision), 1, 2, true, p), 2, 4, true, corrected), map[store.Pair]float64{at(11, 0): 9}},
		{revision(revision(new(store.Revision), 1, 1, true, r), 1, 1, false, observation(12, noon-5, 7)), map[store.Pair]float64{at(12, -5): 7}},
		// A month before, and back.
		{revision(revision(new(store.Revision), 1, 3, false, with(p, 8, 0)), 1, 1, false, observation(13, noon-86400_000/2, 1)),
			map[store.Pair]float64{at(12, -5): 7, at(10, 0): 8, at(13, -86400_000/2): 1}},
	} {
		must(t, f.InsertRevision(t.Context(), step.v, 0))
		if got := shown(t, f); !maps.Equal(got, step.want) {
			t.Fatalf("step %d: %v, want %v", i, got, step.want)
		}
		must(t, f.InsertRevision(t.Context(), step.v, 0)) // the same once more
	}
	if n, want := f.count(t, "observations"), uint64(4+11); n != want {
		t.Errorf("%d raw rows, want %d: nothing may go, and nothing come twice", n, want)
	}
	// The engine knows a token without its rows.
	last := revision(new(store.Revision), 1, 4, false, with(p, 11, 0))
	must(t, f.InsertRevision(t.Context(), last, 0))
	f.exec(t, "ALTER TABLE "+f.db+".observations DELETE WHERE revision = 4 AND seq = 1")
	must(t, f.InsertRevision(t.Context(), last, 0))
	stands, err := f.Standing(t.Context(), []store.Message{messageOf(1), messageOf(2), messageOf(9)})
	must(t, err)
	if i := slices.IndexFunc(stands[messageOf(1)], func(s store.Standing) bool { return s.Datastream == 10 && s.PhenomenonTime == noon }); i < 0 ||
		stands[messageOf(1)][i].Revision != 3 || stands[messageOf(1)][i].Result != 8 {
		t.Fatalf("the token was not remembered, so this shows nothing: %+v", stands)
	}
	must(t, f.InsertRevision(t.Context(), last, 1))
	if got := shown(t, f); got[at(10, 0)] != 11 {
		t.Errorf("%v", got)
	}
	if len(stands) != 2 || len(stands[messageOf(1)]) != 5 || len(stands[messageOf(2)]) != 1 || !stands[messageOf(2)][0].Retracted {
		t.Errorf("%+v", stands)
	}
	if n, err := f.FinishRevisions(t.Context()); n != 0 || err != nil {
		t.Errorf("%d left under way, %v", n, err)
	}
	f.exec(t, "INSERT INTO "+f.db+".revised (datastream, phenomenon_time, gateway, epoch, lane, seq, revision, retracted, marked) SELECT 77, "+
		"fromUnixTimestamp64Milli(toInt64("+fmt.Sprint(noon)+")), 'gw1', 1, 0, number, 9, 0, 0 FROM numbers(15000)")
	if n, err := f.FinishRevisions(t.Context()); n != 15000 || err != nil {
		t.Errorf("%d left under way, %v", n, err)
	}
	if n := f.number(t, "SELECT count() FROM "+f.db+".rollup_dirty WHERE datastream = 77"); n == 0 {
		t.Error("the roll-ups do not know")
	}
}

// Random messages and revisions against a model of a few lines.
func testRevisedModel(t *testing.T, f *fixture) {
	f.migrate(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	type said struct {
		sensor.Observation
		revision  uint16
		retracted bool
		idx       int
	}
	var messages [][]sensor.Observation
	model := map[uint64]map[store.Pair]said{}
	some := func() (list []sensor.Observation) {
		for range 1 + random.IntN(4) {
			o := observation(sensor.DatastreamID(10+random.IntN(2)), noon+int64(random.IntN(6))*1000, float64(random.IntN(1000)))
			o.ResultTime += int64(random.IntN(3)) * 1000
			list = append(list, o)
		}
		return list
	}
	b := block(0, new(sensor.Batch))
	for seq := uint64(1); seq <= 40; seq++ {
		list := some()
		messages, model[seq] = append(messages, list), map[store.Pair]said{}
		for i, o := range list {
			p := store.Pair{Datastream: o.Datastream, PhenomenonTime: o.PhenomenonTime}
			b.Repeats = append(b.Repeats, p)
			if s, ok := model[seq][p]; !ok || o.ResultTime >= s.ResultTime {
				model[seq][p] = said{Observation: o, idx: i}
			}
		}
	}
	b.Batch = batch(1, messages...)
	insert(t, f, b, false)
	for range 4 {
		v := new(store.Revision)
		for range 15 {
			seq, o := 1+uint64(random.IntN(40)), some()[0]
			p := store.Pair{Datastream: o.Datastream, PhenomenonTime: o.PhenomenonTime}
			was := model[seq][p]
			now := said{Observation: o, revision: was.revision + 1, retracted: random.IntN(3) == 0}
			model[seq][p] = now
			revision(v, seq, now.revision, now.retracted, o)
		}
		must(t, f.InsertRevision(t.Context(), v, 0))
		want := map[store.Pair]float64{}
		best := map[store.Pair]said{}
		for seq := uint64(1); seq <= 40; seq++ { // arrival and seq rise together
			for p, s := range model[seq] {
				if old, ok := best[p]; !s.retracted && (!ok || s.ResultTime >= old.ResultTime) {
					best[p], want[p] = s, s.Result
				}
			}
		}
		if got := shown(t, f); !maps.Equal(got, want) {
			t.Fatalf("%v\nwant %v", got, want)
		}
	}
}

// Payloads come back as they came, in order of arrival, once, page after page.
func testPayloads(t *testing.T, f *fixture) {
	f.migrate(t)
	f.exec(t, "ALTER TABLE "+f.db+".payload_rows REMOVE TTL") // these are of a fixed day
	const n = 9000
	b := new(sensor.Batch)
	for i := range n {
		m := sensor.Message{Arrival: noon + int64(i/3)*1000, Kept: &sensor.KeptPayload{Topic: fmt.Sprintf("a/%d", i%7), Source: []string{"", "acme"}[i%2], Protocol: "json",
			Named: "acme/t", Client: "c", User: "u", QoS: 1, Part: sensor.Part(i % 3), Size: i % 300, Payload: []byte(fmt.Sprintf("%0*d", i%300, i))[:i%300]}}
		if i%2 == 0 {
			m.Observations = []sensor.Observation{observation(70, noon+int64(i), 1)}
		}
		b.Add(producer, uint64(i+1), &m)
	}
	blk := block(0, b)
	insert(t, f, blk, false)
	must(t, f.InsertBeside(t.Context(), blk))
	must(t, f.InsertBeside(t.Context(), blk)) // after a crash
	read := func(filter store.PayloadFilter) (list []sensor.LoggedPayload) {
		t.Helper()
		spans, err := f.PayloadSpans(t.Context(), filter)
		must(t, err)
		total := uint64(0)
		for _, span := range spans {
			total += span.Messages
			for after := (*store.PayloadPlace)(nil); ; {
				page, next, err := f.Payloads(t.Context(), filter, span.From, after)
				must(t, err)
				if next == nil {
					break
				}
				list, after = append(list, page...), next
			}
		}
		if total != uint64(len(list)) {
			t.Errorf("%d payloads, the spans say %d", len(list), total)
		}
		return list
	}
	all := read(store.PayloadFilter{})
	if len(all) != n {
		t.Fatalf("%d payloads, want %d", len(all), n)
	}
	for i, k := range all {
		want := b.Payloads[i]
		if string(k.Payload) != string(want.Payload) {
			t.Fatalf("payload %d is %q, want %q", i, k.Payload, want.Payload)
		}
		k.Payload, want.Payload = nil, nil
		if fmt.Sprint(k) != fmt.Sprint(want) {
			t.Fatalf("payload %d is\n%+v, want\n%+v", i, k, want)
		}
	}
	for name, c := range map[string]struct {
		filter store.PayloadFilter
		want   int
	}{
		"source":   {store.PayloadFilter{Source: "acme"}, n / 2},
		"own":      {store.PayloadFilter{Source: store.OwnTopics}, n / 2},
		"protocol": {store.PayloadFilter{Protocol: "hj212"}, 0},
		"thing":    {store.PayloadFilter{Thing: "acme/t"}, n},
		"nobody":   {store.PayloadFilter{Thing: "acme/u"}, 0},
		"time":     {store.PayloadFilter{Since: noon + 1000, Until: noon + 401_000}, 1200},
	} {
		if got := read(c.filter); len(got) != c.want {
			t.Errorf("%s: %d, want %d", name, len(got), c.want)
		}
	}
	if n := f.number(t, "SELECT count() FROM "+f.db+".payloads WHERE owner = 'acme' AND size = length(payload)"); n != 9000 {
		t.Errorf("the view has %d", n)
	}
}
