package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

type balanceKey struct {
	hour     int64
	producer sensor.Producer
	owner    string
}

// kept is one message of the model and what the tables still have of it.
type kept struct {
	sensor.Producer
	seq     uint64
	hour    int64
	owner   string
	idx     []uint16 // of its rows
	rows    map[uint16]int
	letters int // taken
	left    int // letters left
	empty   sensor.Reason
	gone    bool // an empty message whose row was taken out
}

// balanceModel is a log of random messages, and the account of it kept by hand.
type balanceModel struct {
	r       *rand.Rand
	things  []sensor.ThingKey
	marks   map[sensor.Producer]uint64
	all     []*kept
	skipped map[balanceKey]uint64
	gaps    map[balanceKey]uint64
}

func newBalanceModel(r *rand.Rand, things []sensor.ThingKey) *balanceModel {
	return &balanceModel{r: r, things: things, marks: map[sensor.Producer]uint64{}, skipped: map[balanceKey]uint64{}, gaps: map[balanceKey]uint64{}}
}

func hourOf(at int64) int64 { return at - at%3600_000 }

func (m *balanceModel) blocks(n int) (list []*store.Block) {
	producers := []sensor.Producer{{Gateway: "gw1", Epoch: 1}, {Gateway: "gw1", Epoch: 1, Lane: sensor.Backfill}, {Gateway: "gw2", Epoch: 3}}
	at := noon - 2*3600_000
	for offset := int64(1); len(list) < n; {
		b := &sensor.Batch{Watermarks: m.marks}
		blk := &store.Block{Log: "ff112233445566778899aabbccddeeff", Batch: b, From: offset, Before: maps.Clone(m.marks)}
		for range 1 + m.r.IntN(60) {
			p := producers[m.r.IntN(3)]
			at += int64(m.r.IntN(15_000))
			m.message(b, p, at-int64(m.r.IntN(4000)))
			offset++
		}
		blk.To, blk.Watermarks = offset, maps.Clone(m.marks)
		list = append(list, blk)
	}
	return list
}

func (m *balanceModel) message(b *sensor.Batch, p sensor.Producer, at int64) {
	seq := m.marks[p] + 1
	if m.r.IntN(40) == 0 { // the log goes past some
		n := uint64(1 + m.r.IntN(3))
		m.skipped[balanceKey{hourOf(at), p, store.NoOwner}] += n
		seq += n
	}
	if m.r.IntN(40) == 0 {
		to := seq + uint64(m.r.IntN(5))
		b.See(p, seq, to)
		b.Gaps = append(b.Gaps, sensor.Gap{Producer: p, From: seq, To: to, At: at, Reason: "full"})
		m.gaps[balanceKey{hourOf(at), p, store.NoOwner}] += to - seq + 1
		return
	}
	thing := m.r.IntN(len(m.things))
	owner := balanceOwner(thing)
	k := &kept{Producer: p, seq: seq, hour: hourOf(at), owner: owner, rows: map[uint16]int{}}
	msg := &sensor.Message{Arrival: at}
	switch m.r.IntN(10) {
	case 0:
		msg.Empty, msg.Thing = []sensor.Reason{sensor.ReasonHeartbeat, sensor.ReasonCommand}[m.r.IntN(2)], sensor.ThingID(owner+"/-")
		k.empty = msg.Empty
	case 1:
		msg.Declarations = []sensor.Declaration{{Thing: &sensor.Thing{ID: sensor.ThingID(owner + "/new")}}}
		k.empty = sensor.ReasonDeclaration
	case 2:
		k.letters = 1 + m.r.IntN(2)
	default:
		for i := range 1 + m.r.IntN(3) {
			month := int64(m.r.IntN(8) / 7 * 31 * 24 * 3600_000)
			o := observation(sensor.DatastreamID(thing*10+i+1), at-month, float64(i))
			o.Thing = m.things[thing]
			msg.Observations = append(msg.Observations, o)
			k.idx, k.rows[uint16(i)] = append(k.idx, uint16(i)), 1
		}
		k.letters = m.r.IntN(8) / 7
	}
	for range k.letters {
		msg.DeadLetters = append(msg.DeadLetters, sensor.DeadLetter{Reason: sensor.ReasonTime, Owner: owner})
	}
	k.left = k.letters
	b.Add(p, seq, msg)
	m.all = append(m.all, k)
}

// breakTables takes rows, letters and empty messages out, and doubles rows.
func (m *balanceModel) breakTables(t *testing.T, f *fixture) {
	t.Helper()
	exec := func(format string, args ...any) {
		t.Helper()
		if err := f.conn.Exec(t.Context(), fmt.Sprintf(format, args...)); err != nil {
			t.Fatal(err)
		}
	}
	where := func(k *kept) string {
		return fmt.Sprintf("gateway = '%s' AND epoch = %d AND lane = %d AND seq = %d", k.Gateway, k.Epoch, k.Lane, k.seq)
	}
	out := map[string][]string{} // conditions by table; one mutation each
	for range 20 {
		k := m.all[m.r.IntN(len(m.all))]
		switch {
		case len(k.idx) > 0:
			idx := k.idx[m.r.IntN(len(k.idx))]
			this := fmt.Sprintf("(%s AND idx = %d)", where(k), idx)
			if k.rows[idx] == 1 && m.r.IntN(3) == 0 {
				exec("INSERT INTO %[1]s.observations SELECT * FROM %[1]s.observations WHERE %[2]s", f.db, this)
				k.rows[idx] = 2
				continue
			}
			out["observations"] = append(out["observations"], this)
			k.rows[idx] = 0
		case k.letters > 0:
			out["deadletter_versions"] = append(out["deadletter_versions"], "("+where(k)+")")
			k.left = 0
		default:
			out["empties"] = append(out["empties"], "("+where(k)+")")
			k.gone = true
		}
	}
	for table, list := range out {
		exec("ALTER TABLE %s.%s DELETE WHERE %s SETTINGS mutations_sync = 2", f.db, table, strings.Join(list, " OR "))
	}
}

// sums is what a producer's hour took and has.
type sums struct {
	taken, found, letters, left uint64
	differ                      bool // the rows are not those taken
}

func (m *balanceModel) recount() map[balanceKey]store.Account {
	out := map[balanceKey]store.Account{}
	hours := map[balanceKey]sums{}
	for _, k := range m.all {
		none := balanceKey{k.hour, k.Producer, store.NoOwner}
		own := balanceKey{k.hour, k.Producer, k.owner}
		h, a := hours[none], out[own]
		rows := uint64(0)
		for _, idx := range k.idx {
			rows += uint64(k.rows[idx])
			h.differ = h.differ || k.rows[idx] != 1
		}
		h.taken, h.found = h.taken+uint64(len(k.idx)), h.found+rows
		h.letters, h.left = h.letters+uint64(k.letters), h.left+uint64(k.left)
		hours[none] = h
		switch {
		case rows > 0:
			a.WithRows++
		case k.left > 0:
			a.DeadLetters++
		case k.empty != "" && !k.gone:
			a.Empties++
			if a.Reasons == nil {
				a.Reasons = map[string]uint64{}
			}
			a.Reasons[string(k.empty)]++
		default:
			lost := out[none]
			lost.Missing++
			lost.Messages++
			out[none] = lost
			continue
		}
		a.Messages++
		a.Observations += rows
		out[own] = a
	}
	for k, n := range m.skipped {
		a := out[k]
		a.Missing, a.Messages = a.Missing+n, a.Messages+n
		out[k] = a
	}
	for k, n := range m.gaps {
		a := out[k]
		a.Gaps, a.Messages = n, a.Messages+n
		out[k] = a
	}
	for k, h := range hours {
		a := out[k]
		a.RowsMissing, a.RowsDoubled, a.LettersMissing = above(h.taken, h.found), above(h.found, h.taken), above(h.letters, h.left)
		if h.taken == h.found && h.differ {
			a.RowsMissing, a.RowsDoubled = 1, 1
		}
		if a.Messages+a.Wrong() > 0 {
			out[k] = a
		}
	}
	return out
}

func above(a, b uint64) uint64 { return max(a, b) - b }
