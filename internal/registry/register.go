package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Status says what became of a row.
type Status string

// The statuses.
const (
	Created   Status = "created"   // the Thing is new
	Updated   Status = "updated"   // the Thing was registered; it or its Datastreams are different now
	Unchanged Status = "unchanged" // all that the row says was registered already
	Failed    Status = "failed"    // nothing of the row was taken
)

// Verdict is the answer to one row.
type Verdict struct {
	Row    int            `json:"row"` // line in the file
	Status Status         `json:"status"`
	Thing  sensor.ThingID `json:"thing,omitempty"`
	Column string         `json:"column,omitempty"` // where the row is wrong
	Error  string         `json:"error,omitempty"`  // what is wrong and how to fix it
	Notes  []string       `json:"notes,omitempty"`  // what was assumed, what looks odd
}

// registerPiece is how many rows one transaction writes: others must not wait long for the file's lock.
const registerPiece = 5000

// RegisterRows registers what the rows say and gives one verdict a row, in order. Rows that fail do not stop others. Several
// rows may name the same Thing, each with a Datastream; they must not contradict each other. An empty cell leaves
// what is registered, "-" takes it away. The same file again changes nothing. err tells that the disk failed: rows
// whose verdict says so were not written, those before them were.
func (r *Registry) RegisterRows(ctx context.Context, rows []Row) ([]Verdict, error) {
	reg := register{reader: reader{r.opt.Catalogue, r.opt.Divisions, r.opt.Models}, said: make(map[sensor.ThingID]*said)}
	verdicts := make([]Verdict, 0, len(rows))
	var failure error
	for piece := range slices.Chunk(rows, registerPiece) {
		var out []Verdict
		if failure == nil {
			failure = r.update(ctx, func(b *batch) error {
				out = reg.rows(b, piece)
				return nil
			})
		}
		if failure != nil {
			out = make([]Verdict, len(piece))
			for i := range out {
				out[i] = Verdict{Row: piece[i].Line, Status: Failed, Error: "not written: " + failure.Error()}
			}
		}
		verdicts = append(verdicts, out...)
	}
	if failure != nil {
		return verdicts, fmt.Errorf("register %d rows: %w", len(rows), failure)
	}
	return verdicts, nil
}

// register is one run over a file.
type register struct {
	reader reader
	said   map[sensor.ThingID]*said
}

// said remembers which row first gave each of a Thing's columns, and how.
type said struct {
	created bool
	line    [columns]int
	text    [columns]string
	streams map[sensor.DatastreamID]saidStream
}

type saidStream struct {
	line int
	sensor.Datastream
}

func (reg *register) rows(b *batch, rows []Row) []Verdict {
	verdicts := make([]Verdict, len(rows))
	for i := range rows {
		v := &verdicts[i]
		st, err := reg.reader.read(&rows[i])
		v.Row, v.Thing, v.Notes = rows[i].Line, st.id, st.notes
		if err == nil {
			v.Status, err = reg.row(b, st)
			v.Notes = st.notes
		}
		if err != nil {
			v.fail(err)
		}
	}
	return verdicts
}

// fail says the first thing that is wrong in column and error, and everything in error.
func (v *Verdict) fail(err error) {
	v.Status, v.Error = Failed, strings.ReplaceAll(err.Error(), "\n", "; ") // joined errors stand on lines of their own
	var field *FieldError
	if errors.As(err, &field) {
		v.Column = field.Field
	} else if errors.Is(err, ErrSerialTaken) {
		v.Column = ColSerial.String()
	}
}

func (reg *register) row(b *batch, st *statement) (Status, error) {
	before := reg.said[st.id]
	if err := before.contradicts(st); err != nil {
		return Failed, err
	}
	old, known := b.Thing(st.id)
	if known && old.Retired {
		st.note("the Thing was retired; it is in service again")
	}
	next, err := st.merge(old)
	if err != nil {
		return Failed, err
	}
	streams := st.mergeStreams(b)
	for i := range streams {
		if err := errors.Join(CheckDatastream(&streams[i]), b.admits(&streams[i])); err != nil {
			return Failed, err
		}
	}
	_, changed, err := b.declaredThing(next)
	if err != nil {
		return Failed, err
	}
	for i := range streams {
		more, err := b.datastream(&streams[i])
		if err != nil {
			return Failed, err
		}
		changed = changed || more
	}
	if before == nil {
		before = &said{created: !known, streams: make(map[sensor.DatastreamID]saidStream)}
		reg.said[st.id] = before
	}
	before.remember(st)
	st.noteDivision(b)
	switch {
	case before.created:
		return Created, nil
	case changed:
		return Updated, nil
	}
	return Unchanged, nil
}

// ofThing are the columns that speak of the Thing, not of one Datastream.
var ofThing = []Column{ColTitle, ColClass, ColGrade, ColLon, ColLat, ColCRS, ColDivision, ColAddress, ColSerial, ColScenes}

// contradicts tells that an earlier row of the same Thing said something else.
func (s *said) contradicts(st *statement) error {
	if s == nil {
		return nil
	}
	for _, c := range ofThing {
		if text := st.row.cells[c]; text != "" && s.line[c] != 0 && s.text[c] != text {
			return &FieldError{c.String(), fmt.Sprintf("%q, but line %d says %q of the same Thing", text, s.line[c], s.text[c])}
		}
	}
	for i := range st.streams {
		d := &st.streams[i]
		if other, twice := s.streams[d.ID]; twice && !sameDeclaration(d, &other.Datastream) {
			return &FieldError{ColProperty.String(), fmt.Sprintf("line %d declares the same Datastream with another unit, interval, range or limit", other.line)}
		}
	}
	return nil
}

func sameDeclaration(a, b *sensor.Datastream) bool {
	same := func(x, y *float64) bool { return x == y || x != nil && y != nil && *x == *y }
	return a.Unit == b.Unit && a.Interval == b.Interval && same(a.Min, b.Min) && same(a.Max, b.Max) &&
		same(a.Rate, b.Rate) && same(a.StillS, b.StillS)
}

func (s *said) remember(st *statement) {
	for _, c := range ofThing {
		if st.given[c] && s.line[c] == 0 {
			s.line[c], s.text[c] = st.row.Line, st.row.cells[c]
		}
	}
	for _, d := range st.streams {
		s.streams[d.ID] = saidStream{st.row.Line, d}
	}
}

// merge gives the registered Thing (nil = none) with what the row says of it.
func (st *statement) merge(old *sensor.Thing) (*sensor.Thing, error) {
	next := sensor.Thing{ID: st.id}
	if old != nil {
		next = *old
		next.Retired = false // who registers it again has it back in service
	}
	for c, set := range map[Column]func(){
		ColTitle:    func() { next.Name = st.thing.Name },
		ColClass:    func() { next.Class = st.thing.Class },
		ColGrade:    func() { next.Grade = st.thing.Grade },
		ColDivision: func() { next.Division = st.thing.Division },
		ColAddress:  func() { next.Address = st.thing.Address },
		ColSerial:   func() { next.Serial = st.thing.Serial },
		ColScenes:   func() { next.Scenes = st.thing.Scenes },
	} {
		if st.given[c] {
			set()
		}
	}
	switch {
	case (st.given[ColLon] || st.given[ColLat]) && !st.thing.Placed: // "-": no longer known
		next.Placed, next.Location, next.Original, next.CRS = false, geo.LonLat{}, geo.LonLat{}, geo.WGS84
	case st.thing.Placed:
		st.mergePosition(old, &next)
	case st.given[ColCRS] && !next.Placed:
		return nil, &FieldError{ColCRS.String(), "says nothing without lon and lat"}
	case st.given[ColCRS]:
		next.CRS = st.thing.CRS
	}
	return &next, CheckThing(&next)
}

func (st *statement) mergePosition(old, next *sensor.Thing) {
	next.Placed, next.Original, next.Location = true, st.thing.Original, geo.LonLat{}
	switch {
	case st.given[ColCRS]:
		next.CRS = st.thing.CRS
	case old != nil && old.Placed && old.CRS != geo.WGS84:
		st.note(fmt.Sprintf("crs not given: %s, as registered", old.CRS))
	default:
		next.CRS = geo.WGS84
		st.note("crs not given: WGS84 assumed; say GCJ02 if the numbers come from Amap or Tencent, BD09 if from Baidu")
	}
}

// mergeStreams gives the row's Datastreams, with what is registered where the row says nothing.
func (st *statement) mergeStreams(b *batch) []sensor.Datastream {
	streams := slices.Clone(st.streams)
	for i := range streams {
		d := &streams[i]
		old, known := b.Datastream(d.ID)
		if !known {
			st.fromTemplate(d)
			continue
		}
		if d.Unit == "" && !st.given[ColUnit] {
			d.Unit = old.Unit
		}
		if !st.given[ColInterval] {
			d.Interval = old.Interval
		}
		if !st.given[ColMin] {
			d.Min = old.Min
		}
		if !st.given[ColMax] {
			d.Max = old.Max
		}
		if !st.given[ColRate] {
			d.Rate = old.Rate
		}
		if !st.given[ColStill] {
			d.StillS = old.StillS
		}
		st.fromTemplate(d)
	}
	return streams
}

// noteDivision tells when the declared division and the position do not fit, or when no district is known there.
func (st *statement) noteDivision(b *batch) {
	divisions := b.r.opt.Divisions
	t, ok := b.Thing(st.id)
	if divisions == nil || !ok || !t.Placed || !st.thing.Placed {
		return
	}
	at := divisions.At(t.Location)
	switch {
	case at == 0:
		st.note("the position lies in no district known here")
	case t.Division.District() != 0 && t.Division.District() != at:
		d, _ := divisions.Lookup(at)
		st.note(fmt.Sprintf("division %s declared, but the position lies in %s %s", t.Division, at, d.Name))
	}
}
