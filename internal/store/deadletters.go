package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/sensor"
)

// What a dead letter may be.
const (
	LetterOpen     = "open"     // it waits for somebody to mend what is wrong
	LetterResolved = "resolved" // its values are observations now
)

// DeadLetterFilter says which ones; empty fields say nothing.
type DeadLetterFilter struct {
	Reason       sensor.Reason
	Owner, Thing string
	State        string
	Since, Until int64 // arrival, Unix ms; 0 = no bound, Until is not included
	Oldest       bool  // first, instead of the newest
	Limit        int
	Cursor       string
}

// StoredDeadLetter is a dead letter and what became of it.
type StoredDeadLetter struct {
	sensor.LoggedDeadLetter
	Kept    int    // bytes of the payload that are stored; a list shows fewer of them
	State   string // LetterOpen, LetterResolved
	Tries   int    // replays
	Changed int64  // Unix ms
	Read    LogRange

	RowsFrom, RowsTo int64    // between them is every phenomenonTime that a replay ever meant to store, Unix ms; 0 = none yet
	RowIdxs          []uint16 // of every observation it became, rising
	Pending          bool     // a replay is storing, or was killed while it did
	Version          uint64   // the greatest counts
}

// LogRange is the block of the log that something was read in.
type LogRange struct {
	Log       string
	Partition int32
	From, To  int64
}

// previewBytes is what a list shows of a payload.
const previewBytes = 4096

// ErrNoLetter: there is no dead letter of this name.
var ErrNoLetter = errors.New("no such dead letter")

// place is where a page of dead letters ended.
type place struct {
	Arrival int64  `json:"a"`
	Gateway string `json:"g"`
	Epoch   uint32 `json:"e"`
	Lane    uint8  `json:"l"`
	Seq     uint64 `json:"s"`
	Idx     uint16 `json:"i"`
}

func placeOf(l *StoredDeadLetter) place {
	return place{l.Arrival, l.Gateway, l.Epoch, uint8(l.Lane), l.Seq, l.Idx}
}

func (p place) cursor() (string, error) {
	text, err := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(text), err
}

// DeadLetters lists dead letters, the newest first unless told otherwise, each with the beginning of its payload. next is
// the cursor of the following page, empty when there is none.
func (s *Store) DeadLetters(ctx context.Context, f DeadLetterFilter) (letters []StoredDeadLetter, next string, err error) {
	places, next, err := s.letterPlaces(ctx, f)
	if err != nil {
		return nil, "", err
	}
	letters, err = s.lettersAt(ctx, places, previewBytes)
	return letters, next, err
}

// letterPlaces is the first of two steps: the payloads, which are most of the table, are read in the second, by key.
func (s *Store) letterPlaces(ctx context.Context, f DeadLetterFilter) (places []place, next string, err error) {
	if f.Limit <= 0 || f.Limit > MaxPage {
		return nil, "", fmt.Errorf("limit %d: want 1 to %d", f.Limit, MaxPage)
	}
	order, beyond := "DESC", "<"
	at := place{Arrival: clampTime(1 << 62)}
	if f.Oldest {
		order, beyond, at = "ASC", ">", place{Arrival: clampTime(-1 << 62)}
	}
	if f.Cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(f.Cursor)
		if err == nil {
			err = json.Unmarshal(text, &at)
		}
		if err != nil {
			return nil, "", fmt.Errorf("cursor %q: %w", f.Cursor, ErrCursor)
		}
	}
	if f.Until == 0 {
		f.Until = 1 << 62
	}
	err = s.each(ctx, strings.NewReplacer("<order>", order, "<beyond>", beyond).Replace(
		`SELECT toUnixTimestamp64Milli(arrival_time), toString(gateway), epoch, lane, seq, idx FROM ~deadletter_versions FINAL
		WHERE arrival_time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND arrival_time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
			AND ({reason:String} = '' OR reason = {reason:String}) AND ({owner:String} = '' OR owner = {owner:String})
			AND ({thing:String} = '' OR thing = {thing:String}) AND ({state:String} = '' OR state = {state:String})
			AND (toUnixTimestamp64Milli(arrival_time), gateway, epoch, lane, seq, idx)
				<beyond> ({a:Int64}, {g:String}, {e:UInt32}, {l:UInt8}, {s:UInt64}, {i:UInt16})
		ORDER BY arrival_time <order>, gateway <order>, epoch <order>, lane <order>, seq <order>, idx <order> LIMIT {limit:UInt32}`),
		func(r driver.Rows) error {
			var p place
			if err := r.Scan(&p.Arrival, &p.Gateway, &p.Epoch, &p.Lane, &p.Seq, &p.Idx); err != nil {
				return err
			}
			places = append(places, p)
			return nil
		}, clickhouse.Named("reason", string(f.Reason)), clickhouse.Named("owner", f.Owner), clickhouse.Named("thing", f.Thing),
		clickhouse.Named("state", f.State), clickhouse.Named("since", clampTime(f.Since)), clickhouse.Named("until", clampTime(f.Until)),
		clickhouse.Named("limit", uint32(f.Limit+1)),
		clickhouse.Named("a", at.Arrival), clickhouse.Named("g", at.Gateway), clickhouse.Named("e", at.Epoch),
		clickhouse.Named("l", at.Lane), clickhouse.Named("s", at.Seq), clickhouse.Named("i", at.Idx))
	if err != nil {
		return nil, "", wrap("read dead letters", err)
	}
	if len(places) <= f.Limit {
		return places, "", nil
	}
	places = places[:f.Limit]
	next, err = places[f.Limit-1].cursor()
	return places, next, err
}

// LetterNames gives the names of a page of dead letters.
func (s *Store) LetterNames(ctx context.Context, f DeadLetterFilter) (ids []sensor.Identity, next string, err error) {
	places, next, err := s.letterPlaces(ctx, f)
	for _, p := range places {
		ids = append(ids, p.identity())
	}
	return ids, next, err
}

// LetterRef is where a dead letter stands in its table.
type LetterRef struct {
	sensor.Identity
	Arrival int64
	Size    int // bytes of the payload as it came
}

// PendingLetter is a dead letter of which a replay is under way, or was left so.
type PendingLetter struct {
	sensor.Identity
	Detail string
}

// maxPending bounds a list of them: a replay has a few hundred under way at most.
const maxPending = 10_000

// PendingLetters lists them.
func (s *Store) PendingLetters(ctx context.Context) (list []PendingLetter, err error) {
	err = s.each(ctx, `SELECT toString(gateway), epoch, lane, seq, idx, detail FROM ~deadletter_versions FINAL WHERE pending = 1
		ORDER BY arrival_time, seq, idx LIMIT `+strconv.Itoa(maxPending), func(r driver.Rows) error {
		var l PendingLetter
		var lane uint8
		if err := r.Scan(&l.Gateway, &l.Epoch, &lane, &l.Seq, &l.Idx, &l.Detail); err != nil {
			return err
		}
		l.Lane = sensor.Lane(lane)
		list = append(list, l)
		return nil
	})
	return list, wrap("list replays under way", err)
}

func (p place) identity() sensor.Identity {
	return sensor.Identity{Producer: sensor.Producer{Gateway: p.Gateway, Epoch: p.Epoch, Lane: sensor.Lane(p.Lane)}, Seq: p.Seq, Idx: p.Idx}
}

// DeadLetter gives one letter with its whole payload, which a sibling of the same message may hold. ErrNoLetter if there
// is none.
func (s *Store) DeadLetter(ctx context.Context, id sensor.Identity) (StoredDeadLetter, error) {
	refs, err := s.FindLetters(ctx, []sensor.Identity{id})
	if err != nil {
		return StoredDeadLetter{}, err
	}
	all, err := s.ReadLetters(ctx, refs)
	if err != nil {
		return StoredDeadLetter{}, err
	}
	i := slices.IndexFunc(all, func(l StoredDeadLetter) bool { return l.Identity == id })
	if i < 0 {
		return StoredDeadLetter{}, fmt.Errorf("%s: %w", id.Name(), ErrNoLetter)
	}
	l := all[i]
	for j := 0; len(l.Payload) == 0 && l.Size > 0 && j < len(all); j++ {
		l.Payload, l.Kept = all[j].Payload, all[j].Kept
	}
	return l, nil
}

// FindLetters finds the letters of the messages that ids name: those named and their siblings, message by message.
func (s *Store) FindLetters(ctx context.Context, ids []sensor.Identity) (refs []LetterRef, err error) {
	byProducer := map[sensor.Producer][]uint64{}
	for _, id := range ids {
		byProducer[id.Producer] = append(byProducer[id.Producer], id.Seq)
	}
	for p, seqs := range byProducer {
		slices.Sort(seqs)
		for some := range slices.Chunk(slices.Compact(seqs), askFor) {
			err := s.each(ctx, `SELECT DISTINCT toUnixTimestamp64Milli(arrival_time), seq, idx, size FROM ~deadletter_versions
				WHERE gateway = {gateway:String} AND epoch = {epoch:UInt32} AND lane = {lane:UInt8} AND seq IN (`+numbers(some)+`)
				ORDER BY seq, idx`, func(r driver.Rows) error {
				ref := LetterRef{Identity: sensor.Identity{Producer: p}}
				var size uint64
				if err := r.Scan(&ref.Arrival, &ref.Seq, &ref.Idx, &size); err != nil {
					return err
				}
				ref.Size = int(size)
				refs = append(refs, ref)
				return nil
			}, clickhouse.Named("gateway", p.Gateway), clickhouse.Named("epoch", p.Epoch), clickhouse.Named("lane", uint8(p.Lane)))
			if err != nil {
				return nil, wrap("look for dead letters", err)
			}
		}
	}
	return refs, nil
}

// ReadLetters reads what FindLetters found, with all that is kept of the payloads.
func (s *Store) ReadLetters(ctx context.Context, refs []LetterRef) ([]StoredDeadLetter, error) {
	places := make([]place, len(refs))
	for i, r := range refs {
		places[i] = place{r.Arrival, r.Gateway, r.Epoch, uint8(r.Lane), r.Seq, r.Idx}
	}
	return s.lettersAt(ctx, places, sensor.MaxDeadLetterPayload)
}

// numbers gives them as SQL has them between brackets.
func numbers[T int64 | uint64](numbers []T) string {
	slices.Sort(numbers)
	var b []byte
	for i, n := range slices.Compact(numbers) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, fmt.Sprint(n)...)
	}
	return string(b)
}

// askFor is how many letters one statement names: its text has a bound.
const askFor = 1000

// lettersAt reads the letters at places, in their order, with at most so many bytes of each payload.
func (s *Store) lettersAt(ctx context.Context, places []place, payload int) (letters []StoredDeadLetter, err error) {
	for some := range slices.Chunk(places, askFor) {
		if letters, err = s.appendLetters(ctx, letters, some, payload); err != nil {
			return nil, err
		}
	}
	return letters, nil
}

func (s *Store) appendLetters(ctx context.Context, letters []StoredDeadLetter, places []place, payload int) ([]StoredDeadLetter, error) {
	var arrivals []int64
	var seqs []uint64
	for _, p := range places {
		arrivals, seqs = append(arrivals, p.Arrival), append(seqs, p.Seq)
	}
	times := "fromUnixTimestamp64Milli(" + strings.ReplaceAll(numbers(arrivals), ",", ", 'UTC'), fromUnixTimestamp64Milli(") + ", 'UTC')"
	found := make(map[place]StoredDeadLetter, len(places))
	err := s.each(ctx, `SELECT toUnixTimestamp64Milli(arrival_time), toString(reason), detail, topic, toString(protocol), toString(owner),
			thing, field, toString(source), client, toString(user), toString(broker), packet, qos, readings, size,
			substring(payload, 1, `+strconv.Itoa(payload)+`), length(payload), toString(state), tries, toUnixTimestamp64Milli(changed_at),
			log, partition, block_from, block_to, rows_from, rows_to, row_idxs, pending, version, toString(gateway), epoch, lane, seq, idx
		FROM ~deadletter_versions FINAL WHERE arrival_time IN (`+times+`) AND seq IN (`+numbers(seqs)+`)`, func(r driver.Rows) error {
		l, err := scanLetter(r)
		if err == nil {
			found[placeOf(&l)] = l
		}
		return err
	})
	if err != nil {
		return nil, wrap("read dead letters", err)
	}
	for _, p := range places {
		if l, ok := found[p]; ok {
			letters = append(letters, l)
		}
	}
	return letters, nil
}

func scanLetter(r driver.Rows) (l StoredDeadLetter, err error) {
	var reason, payload string
	var lane, pending uint8
	var size, kept uint64
	var tries uint32
	err = r.Scan(&l.Arrival, &reason, &l.Detail, &l.Topic, &l.Protocol, &l.Owner, &l.Thing, &l.Field, &l.Source,
		&l.Client, &l.User, &l.Broker, &l.Packet, &l.QoS, &l.Readings, &size, &payload, &kept, &l.State, &tries, &l.Changed,
		&l.Read.Log, &l.Read.Partition, &l.Read.From, &l.Read.To, &l.RowsFrom, &l.RowsTo, &l.RowIdxs, &pending, &l.Version,
		&l.Gateway, &l.Epoch, &lane, &l.Seq, &l.Idx)
	l.Reason, l.Lane, l.Size, l.Kept, l.Tries = sensor.Reason(reason), sensor.Lane(lane), int(size), int(kept), int(tries)
	l.Pending = pending == 1
	if payload != "" {
		l.Payload = []byte(payload)
	}
	return l, err
}

// InsertLetterVersions writes letters as they are now, with the version they bear.
func (s *Store) InsertLetterVersions(ctx context.Context, letters []StoredDeadLetter) error {
	letters = slices.Clone(letters)
	slices.SortStableFunc(letters, func(a, b StoredDeadLetter) int { return month(a.Arrival) - month(b.Arrival) })
	for len(letters) > 0 {
		m := month(letters[0].Arrival)
		n := slices.IndexFunc(letters, func(l StoredDeadLetter) bool { return month(l.Arrival) != m })
		if n < 0 {
			n = len(letters)
		}
		if err := s.insertLetters(ctx, letters[:n]); err != nil {
			return err
		}
		letters = letters[n:]
	}
	return nil
}

// insertLetters is one INSERT: a month of arrival is a table partition.
func (s *Store) insertLetters(ctx context.Context, letters []StoredDeadLetter) error {
	return s.send(ctx, "deadletter_versions", `gateway, epoch, lane, seq, idx, arrival_time, reason, detail, topic, protocol,
		owner, thing, field, source, client, user, broker, packet, qos, readings, size, payload, state, tries,
		log, partition, block_from, block_to, rows_from, rows_to, row_idxs, pending, version`, func(batch driver.Batch) error {
		for i := range letters {
			l := &letters[i]
			if err := batch.Append(l.Gateway, l.Epoch, uint8(l.Lane), l.Seq, l.Idx, time.UnixMilli(l.Arrival), string(l.Reason),
				l.Detail, l.Topic, l.Protocol, l.Owner, l.Thing, l.Field, l.Source, l.Client, l.User, l.Broker, l.Packet, l.QoS,
				l.Readings, uint64(l.Size), string(l.Payload), l.State, uint32(l.Tries),
				l.Read.Log, l.Read.Partition, l.Read.From, l.Read.To, l.RowsFrom, l.RowsTo, l.RowIdxs, l.Pending, l.Version); err != nil {
				return err
			}
		}
		return nil
	})
}

// firstVersion is what the ingester writes; every replay writes a greater one, so that a block stored again after a crash
// takes nothing back.
const firstVersion = 1

// insertDeadLetters writes the letters of a block.
func (s *Store) insertDeadLetters(ctx context.Context, b *Block) error {
	letters := make([]StoredDeadLetter, len(b.Batch.DeadLetters))
	for i := range letters {
		letters[i] = StoredDeadLetter{LoggedDeadLetter: b.Batch.DeadLetters[i], State: LetterOpen, Version: firstVersion,
			Read: LogRange{b.Log, b.Partition, b.From, b.To}}
	}
	return s.InsertLetterVersions(ctx, letters)
}

// Counts are totals that a status line shows.
type Counts struct{ Observations, DeadLetters, Things, Datastreams uint64 }

// Count reads them. Observations are counted as stored, repeats included.
func (s *Store) Count(ctx context.Context) (c Counts, err error) {
	err = s.conn.QueryRow(ctx, s.sql(`SELECT (SELECT count() FROM ~observations), (SELECT count() FROM ~deadletters),
		(SELECT count() FROM ~things), (SELECT count() FROM ~datastreams)`)).Scan(&c.Observations, &c.DeadLetters, &c.Things, &c.Datastreams)
	return c, wrap("count", err)
}
