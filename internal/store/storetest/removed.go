package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// What policy removed is in gaps to the message, and its owner finds it by Thing and hour.
func testRemoved(t *testing.T, f *fixture) {
	f.migrate(t)
	keys := balanceThings(t, f, 2)
	b := batch(1, []sensor.Observation{observation(10, noon, 1)}, nil)
	for seq := uint64(5); seq <= 9; seq++ {
		b.Skip(sensor.Gap{Producer: producer, From: seq, To: seq, At: noon, Reason: "horizon", Class: sensor.Social})
	}
	hour := noon - noon%3_600_000
	share := func(thing sensor.ThingKey, owner string, hour int64, n uint64) sensor.LoggedGapShare {
		return sensor.LoggedGapShare{Producer: producer, Seq: 9, At: noon, Reason: "horizon", Class: sensor.Social,
			GapShare: sensor.GapShare{Thing: thing, Owner: owner, Hour: hour, Messages: n}}
	}
	b.GapShares = []sensor.LoggedGapShare{share(keys[0], "", hour, 2), share(keys[1], "", hour, 1), share(0, "who", hour-3_600_000, 1), share(12345, "", hour, 1)}
	one := block(0, b)
	for _, b := range []*store.Block{one, one} { // twice is once
		if err := f.InsertBeside(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.number(t, "SELECT toUInt64(sum(seq_to - seq_from + 1)) FROM "+f.db+".gaps FINAL WHERE owner_class = 'social' AND reason = 'horizon'"); n != 5 {
		t.Errorf("%d messages in gaps, want 5", n)
	}
	rows, err := f.conn.Query(t.Context(), "SELECT owner, thing, messages, hour, owner_class, reason FROM "+f.db+".removed ORDER BY thing, owner")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var owner, thing, class, reason string
		var n uint64
		var at time.Time
		if err := rows.Scan(&owner, &thing, &n, &at, &class, &reason); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s|%s %d %d %s %s", owner, thing, n, (at.UnixMilli()-hour)/3_600_000, class, reason))
	}
	want := []string{"| 1 0 social horizon", "who| 1 -1 social horizon",
		fmt.Sprintf("%s|%s/t0 2 0 social horizon", balanceOwner(0), balanceOwner(0)), fmt.Sprintf("%s|%s/t1 1 0 social horizon", balanceOwner(1), balanceOwner(1))}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("removed:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
