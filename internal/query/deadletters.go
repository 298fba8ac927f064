package query

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/situ-city/situ/internal/deadletter"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// DeadLetterRow is one dead letter.
type DeadLetterRow struct {
	ID       string    `json:"id" doc:"its name for ever: gateway:epoch:lane:seq:idx" example:"gw-1:1:live:42:0"`
	State    string    `json:"state" enum:"open,resolved"`
	Arrival  time.Time `json:"arrival"`
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail" doc:"what, where, and how to mend it"`
	Topic    string    `json:"topic,omitempty"`
	Protocol string    `json:"protocol,omitempty"`
	Owner    string    `json:"owner,omitempty"`
	Thing    string    `json:"thing,omitempty"`
	Field    string    `json:"field,omitempty"`
	Source   string    `json:"source,omitempty" doc:"configured source it came from"`
	Broker   string    `json:"broker,omitempty" doc:"that source's broker"`
	Client   string    `json:"client,omitempty" doc:"MQTT client id"`
	User     string    `json:"user,omitempty" doc:"MQTT user name"`
	Packet   uint16    `json:"packet,omitempty" doc:"MQTT packet id"`
	QoS      uint8     `json:"qos"`
	Size     int       `json:"size" doc:"bytes of the payload as it came"`
	Kept     int       `json:"kept" doc:"bytes of it that are kept with this letter; a message's first letter keeps them for all"`
	Readings string    `json:"readings,omitempty" doc:"which of the payload's readings it stands for, from 0; absent: the whole message"`
	Payload  []byte    `json:"payload,omitempty" doc:"base64; in lists its first 4 KiB"`
	Tries    int       `json:"tries,omitempty" doc:"how often it was replayed"`
	Changed  time.Time `json:"changed"`
	Log      string    `json:"log,omitempty" doc:"id of the log it was read from"`
	Part     int32     `json:"partition" doc:"partition of that log"`
	From     int64     `json:"offset_from" doc:"first offset of the block it was read in"`
	To       int64     `json:"offset_to" doc:"offset after that block"`
	Gateway  string    `json:"gateway"`
	Epoch    uint32    `json:"epoch"`
	Lane     uint8     `json:"lane"`
	Seq      uint64    `json:"seq"`
	Idx      uint16    `json:"idx"`
}

func letterRow(d *store.StoredDeadLetter) DeadLetterRow {
	return DeadLetterRow{ID: d.Name(), State: d.State, Arrival: time.UnixMilli(d.Arrival).UTC(), Reason: string(d.Reason), Detail: d.Detail,
		Topic: d.Topic, Protocol: d.Protocol, Owner: d.Owner, Thing: d.Thing, Field: d.Field,
		Source: d.Source, Broker: d.Broker, Client: d.Client, User: d.User, Packet: d.Packet, QoS: d.QoS,
		Size: d.Size, Kept: d.Kept, Readings: d.Readings, Payload: d.Payload, Tries: d.Tries, Changed: time.UnixMilli(d.Changed).UTC(),
		Log: d.Read.Log, Part: d.Read.Partition, From: d.Read.From, To: d.Read.To,
		Gateway: d.Gateway, Epoch: d.Epoch, Lane: uint8(d.Lane), Seq: d.Seq, Idx: d.Idx}
}

// mayLetter is the object-level check: dead letters hold payloads. Today there is one key, the administrator's.
func mayLetter(ctx context.Context, _ string) bool { return From(ctx).Admin }

var errNoHistory = huma.Error503ServiceUnavailable("no history now: the ClickHouse engine is not available; see /readyz")

type deadLettersInput struct {
	Reason string    `query:"reason" doc:"topic, malformed, checksum, time, thing, property, unit, ..."`
	Owner  string    `query:"owner"`
	Thing  string    `query:"thing" doc:"owner/name"`
	State  string    `query:"state" enum:"open,resolved,all" default:"all"`
	Since  time.Time `query:"since" doc:"RFC 3339: arrived then or later"`
	Until  time.Time `query:"until" doc:"RFC 3339: arrived before"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string    `query:"cursor"`
}

// DeadLetterPage is one page of dead letters; next is empty on the last.
type DeadLetterPage struct {
	DeadLetters []DeadLetterRow `json:"dead_letters"`
	Next        string          `json:"next,omitempty"`
}

func (s *Server) deadLetters(ctx context.Context, in *deadLettersInput) (*body[DeadLetterPage], error) {
	if !mayLetter(ctx, in.Owner) {
		return nil, huma.Error404NotFound("no such dead letters")
	}
	h := s.cfg.History()
	if h == nil {
		return nil, errNoHistory
	}
	f := store.DeadLetterFilter{Reason: sensor.Reason(in.Reason), Owner: in.Owner, Thing: in.Thing, State: in.State,
		Since: unixMilli(in.Since), Until: unixMilli(in.Until), Limit: in.Limit, Cursor: in.Cursor}
	if f.State == "all" {
		f.State = ""
	}
	letters, next, err := h.DeadLetters(ctx, f)
	if err != nil {
		return nil, s.historyFailed(err)
	}
	rows := make([]DeadLetterRow, len(letters))
	for i := range letters {
		rows[i] = letterRow(&letters[i])
	}
	return &body[DeadLetterPage]{DeadLetterPage{DeadLetters: rows, Next: next}}, nil
}

// unixMilli is 0 for a time that was not given.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

type deadLetterInput struct {
	ID string `path:"id" doc:"gateway:epoch:lane:seq:idx"`
}

func (s *Server) deadLetter(ctx context.Context, in *deadLetterInput) (*body[DeadLetterRow], error) {
	id, err := sensor.ParseIdentity(in.ID)
	if err != nil {
		return nil, huma.Error400BadRequest(err.Error())
	}
	h := s.cfg.History()
	if h == nil {
		return nil, errNoHistory
	}
	l, err := h.DeadLetter(ctx, id)
	if err == nil && !mayLetter(ctx, l.Owner) {
		err = store.ErrNoLetter
	}
	if errors.Is(err, store.ErrNoLetter) {
		return nil, huma.Error404NotFound("no dead letter " + in.ID)
	}
	if err != nil {
		return nil, s.historyFailed(err)
	}
	return &body[DeadLetterRow]{letterRow(&l)}, nil
}

// ReplayRequest names dead letters, or says which ones.
type ReplayRequest struct {
	IDs    []string  `json:"ids,omitempty" maxItems:"1000" doc:"names; or one of the following"`
	Owner  string    `json:"owner,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Thing  string    `json:"thing,omitempty"`
	Since  time.Time `json:"since,omitzero" doc:"arrived then or later"`
	Until  time.Time `json:"until,omitzero" doc:"arrived before"`
	All    bool      `json:"all,omitempty" doc:"every open one"`
	Limit  int       `json:"limit,omitempty" minimum:"1" maximum:"1000" default:"200" doc:"at most so many in one call"`
	Cursor string    `json:"cursor,omitempty"`
	DryRun bool      `json:"dry_run,omitempty" doc:"say what would be, and store nothing"`
	Shift  string    `json:"shift,omitempty" doc:"add this to every time in the payload: the device's clock was wrong" example:"-8h"`
	Time   string    `json:"time,omitempty" enum:"arrival" doc:"arrival: the message's arrival stands for every time in the payload"`
}

// ReplayVerdict is the answer to one dead letter.
type ReplayVerdict struct {
	ID     string `json:"id"`
	Status string `json:"status" enum:"resolved,already,open,unfit,not_found" doc:"resolved: stored; already: was resolved before; open: refused again; unfit: cannot be replayed"`
	Values int    `json:"values" doc:"observations it became"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty" doc:"why it is not resolved, and what to do"`
}

// ReplayPage answers some letters; next is empty when there are no more.
type ReplayPage struct {
	DryRun bool            `json:"dry_run,omitempty"`
	Rows   []ReplayVerdict `json:"rows"`
	Next   string          `json:"next,omitempty"`
}

func (s *Server) replayLetters(ctx context.Context, in *struct{ Body ReplayRequest }) (*body[ReplayPage], error) {
	req := &in.Body
	if !mayLetter(ctx, req.Owner) {
		return nil, huma.Error404NotFound("no such dead letters")
	}
	opt, err := req.options()
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	h := s.cfg.History()
	if h == nil || s.cfg.Letters == nil {
		return nil, errNoHistory
	}
	page := ReplayPage{DryRun: req.DryRun, Rows: []ReplayVerdict{}}
	ids, next, err := req.names(ctx, h)
	if errors.Is(err, sensor.ErrIdentity) {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err == nil {
		page.Next = next
		var verdicts []deadletter.Verdict
		verdicts, err = s.cfg.Letters.Replay(ctx, ids, opt)
		for _, v := range verdicts {
			page.Rows = append(page.Rows, ReplayVerdict{v.ID.Name(), string(v.Status), v.Values, string(v.Reason), v.Detail})
		}
	}
	if err != nil {
		return nil, s.historyFailed(err)
	}
	return &body[ReplayPage]{page}, nil
}

func (r *ReplayRequest) options() (o deadletter.Options, err error) {
	o.DryRun = r.DryRun
	o.Clock.Arrival = r.Time == "arrival"
	filtered := r.Owner != "" || r.Reason != "" || r.Thing != "" || !r.Since.IsZero() || !r.Until.IsZero() || r.All
	switch {
	case (len(r.IDs) > 0) == filtered:
		return o, errors.New("give ids, or say which ones: owner, reason, thing, since, until, or all")
	case r.Shift == "":
		return o, nil
	case o.Clock.Arrival:
		return o, errors.New("shift and time are both set: the times are moved, or the arrival stands for them")
	}
	if o.Clock.Shift, err = time.ParseDuration(r.Shift); err != nil || o.Clock.Shift == 0 {
		return o, fmt.Errorf("shift %q is no length of time such as -8h or 30m", r.Shift)
	}
	return o, nil
}

// names gives the letters that are meant: the oldest first, so that what a Thing said last stands last.
func (r *ReplayRequest) names(ctx context.Context, h History) (ids []sensor.Identity, next string, err error) {
	if len(r.IDs) == 0 {
		limit := r.Limit
		if limit == 0 {
			limit = 200
		}
		return h.LetterNames(ctx, store.DeadLetterFilter{Reason: sensor.Reason(r.Reason), Owner: r.Owner, Thing: r.Thing,
			State: store.LetterOpen, Since: unixMilli(r.Since), Until: unixMilli(r.Until), Oldest: true, Limit: limit, Cursor: r.Cursor})
	}
	for _, text := range r.IDs {
		id, err := sensor.ParseIdentity(text)
		if err != nil {
			return nil, "", err
		}
		ids = append(ids, id)
	}
	return ids, "", nil
}
