package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/situ-city/situ/internal/redecode"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// RedecodeRequest says which kept payloads are read again, and by what.
type RedecodeRequest struct {
	Source         string         `json:"source,omitempty"` // name of a source; "-" = situ's own topics
	Protocol       string         `json:"protocol,omitempty"`
	Thing          sensor.ThingID `json:"thing,omitempty"`
	Since          time.Time      `json:"since,omitzero"` // arrived then or later
	Until          time.Time      `json:"until,omitzero"` // arrived before
	DryRun         bool           `json:"dry_run,omitempty"`
	RetractRefused bool           `json:"retract_refused,omitempty"`
	Differences    int            `json:"differences,omitempty"` // how many of the first are told

	With *RedecodeWith `json:"with,omitempty"` // absent: by the sources and plug-ins that run now
}

// RedecodeWith is another configuration than the one that runs.
type RedecodeWith struct {
	Config  string            `json:"config"`            // YAML, as in a configuration file: sources
	Plugins map[string][]byte `json:"plugins,omitempty"` // modules by the name of their file there
}

// RedecodeLine is one line of the answer: how far it is. The last one is done, or has an error.
type RedecodeLine struct {
	Total       uint64         `json:"total"` // payloads that are meant
	Payloads    uint64         `json:"payloads"`
	Bytes       uint64         `json:"bytes"`
	Differ      int            `json:"differ"` // messages
	Added       int            `json:"added"`  // values
	Changed     int            `json:"changed"`
	Retracted   int            `json:"retracted"`
	Letters     int            `json:"letters"`
	Refused     map[string]int `json:"refused,omitempty"`
	Cut         int            `json:"cut,omitempty"`
	ByHand      int            `json:"by_hand,omitempty"`
	Until       time.Time      `json:"until,omitzero"` // arrival
	Words       string         `json:"words"`
	Done        bool           `json:"done,omitempty"`
	Error       string         `json:"error,omitempty"`
	Refusals    []string       `json:"refusals,omitempty"`    // the first, in the last line
	Differences []string       `json:"differences,omitempty"` // the first, in the last line
}

// ErrRedecode: the request cannot be done as it is.
var ErrRedecode = errors.New("redecode")

// Redecode reads kept payloads again; see internal/redecode.
type Redecode func(ctx context.Context, with *RedecodeWith, o redecode.Options, tell func(*redecode.Report) error) (*redecode.Report, error)

// redecode answers with a line of JSON after each page. A caller who leaves ends it.
func (s *Server) redecode(w http.ResponseWriter, r *http.Request) {
	if !From(r.Context()).Admin {
		problem(w, http.StatusNotFound, "no such path", "payloads are their owner's")
		return
	}
	if s.cfg.Redecode == nil || s.cfg.History() == nil {
		problem(w, http.StatusServiceUnavailable, "no history now", "the ClickHouse engine is not available; see /readyz")
		return
	}
	var req RedecodeRequest
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		problem(w, http.StatusUnprocessableEntity, "no request", err.Error())
		return
	}
	out := http.NewResponseController(w)
	begun := false
	send := func(l RedecodeLine) error {
		if !begun {
			w.Header().Set("Content-Type", "application/x-ndjson")
			begun = true
		}
		b, err := json.Marshal(l)
		if err == nil {
			_, err = fmt.Fprintf(w, "%s\n", b)
		}
		return errors.Join(err, out.Flush())
	}
	report, err := s.cfg.Redecode(r.Context(), req.With, req.options(), func(now *redecode.Report) error { return send(lineOf(now)) })
	switch {
	case err != nil && !begun && errors.Is(err, redecode.ErrUnderWay):
		problem(w, http.StatusConflict, "not now", err.Error())
	case err != nil && !begun && errors.Is(err, ErrRedecode):
		problem(w, http.StatusUnprocessableEntity, "not so", err.Error())
	case err != nil:
		if report == nil {
			report = &redecode.Report{}
		}
		l := lineOf(report)
		l.Error = err.Error()
		_ = send(l) // who has left does not read it
		s.cfg.Logger.Warn("redecode ended early; the same again goes on", "component", "query", "err", err)
	default:
		l := lineOf(report)
		l.Done, l.Refusals = true, report.FirstRefused
		for i := range report.Changes {
			l.Differences = append(l.Differences, report.Changes[i].Line())
		}
		_ = send(l) // who has left does not read it
	}
}

func (r *RedecodeRequest) options() redecode.Options {
	return redecode.Options{PayloadFilter: store.PayloadFilter{Source: r.Source, Protocol: r.Protocol, Thing: r.Thing,
		Since: unixMilli(r.Since), Until: unixMilli(r.Until)}, DryRun: r.DryRun, RetractRefused: r.RetractRefused, Differences: min(max(r.Differences, 0), maxPage)}
}

func lineOf(r *redecode.Report) RedecodeLine {
	l := RedecodeLine{Total: r.Total, Payloads: r.Payloads, Bytes: r.Bytes, Differ: r.Differ, Added: r.Added, Changed: r.Changed, Retracted: r.Retracted,
		Letters: r.Letters, Cut: r.Cut, ByHand: r.ByHand, Until: r.Until, Words: r.Words()}
	for reason, n := range r.Refused {
		if l.Refused == nil {
			l.Refused = map[string]int{}
		}
		l.Refused[string(reason)] = n
	}
	return l
}
