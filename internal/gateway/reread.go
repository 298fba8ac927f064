package gateway

import (
	"fmt"
	"slices"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/redecode"
	"github.com/situ-city/situ/pkg/sensor"
)

// Reread reads kept payloads again, one after the other in order of arrival. It is the redecode.Reader, and takes the same way
// as worker.build, without counters and without a spool. What decoders and judgements remember of earlier payloads, they
// remember here too, from the first one that is read. It is for one goroutine.
type Reread struct {
	routers    map[string]*router
	routes     map[place]route
	normalizer *normalize.Normalizer
	readings   []decode.Reading
	live, back sensor.Message
	parts      map[halves]redecode.Reading // backfill parts of what was read as a live part a moment ago
	arrival    int64                       // of them
}

// place is a topic of a source.
type place struct{ source, topic string }

// halves names one PUBLISH that became two messages.
type halves struct {
	gateway string
	epoch   uint32
	topic   string
	payload string
}

// NewReread makes one. Sources are the newer ones, by whose rules the payloads are to be read.
func NewReread(sources []Source, protocols []decode.Protocol, n *normalize.Normalizer) (*Reread, error) {
	sources = slices.Clone(sources)
	if err := CheckSources(sources, protocols); err != nil {
		return nil, err
	}
	known := byName(protocols)
	own := newRouter(known, nil)
	a := &Reread{normalizer: n, routers: map[string]*router{"": &own}, routes: map[place]route{}}
	for i := range sources {
		r := newRouter(known, &sources[i])
		a.routers[sources[i].Name] = &r
	}
	return a, nil
}

// Read implements redecode.Reader.
func (a *Reread) Read(k *sensor.LoggedPayload) redecode.Reading {
	if k.Part == sensor.Whole {
		live, back := a.both(k)
		live.Observations = append(live.Observations, back.Observations...)
		return live
	}
	name := halves{k.Gateway, k.Epoch, k.Topic, string(k.Payload)}
	if k.Arrival != a.arrival {
		a.parts, a.arrival = map[halves]redecode.Reading{}, k.Arrival
	}
	if back, ok := a.parts[name]; ok && k.Part == sensor.BackfillPart {
		delete(a.parts, name)
		return back
	}
	live, back := a.both(k)
	if k.Part == sensor.BackfillPart {
		return back
	}
	a.parts[name] = back
	return live
}

// both gives what a payload becomes in either lane. What is refused keeps both from being complete; what is declared is the
// live one's.
func (a *Reread) both(k *sensor.LoggedPayload) (live, back redecode.Reading) {
	refuse := func(reason sensor.Reason, detail string) (redecode.Reading, redecode.Reading) {
		r := redecode.Reading{Refused: []sensor.DeadLetter{{Reason: reason, Detail: detail}}}
		return r, r
	}
	r, ok := a.route(k)
	switch {
	case !ok:
		return refuse(sensor.ReasonTopic, fmt.Sprintf("it came from source %q, which is not in this configuration", k.Source))
	case r.refused != nil:
		return refuse(r.refused.Reason, r.refused.Detail)
	case len(k.Payload) == 0:
		return refuse(sensor.ReasonEmpty, emptyPayload)
	}
	var err error
	if a.readings, err = decode.DecodeOn(r.decoder, a.readings[:0], k.Topic, k.Payload); err != nil {
		return refuse(decode.ReasonOf(err), err.Error())
	}
	a.live.Reset()
	a.back.Reset()
	a.live.Arrival = k.Arrival
	r.source.Origin = sensor.Origin{Client: k.Client, User: k.User, QoS: k.QoS}
	a.normalizer.Normalize(&r.source, a.readings, nil, &a.live, &a.back)
	live = redecode.Reading{Observations: slices.Clone(a.live.Observations), Refused: slices.Clone(a.live.DeadLetters), Declarations: slices.Clone(a.live.Declarations)}
	return live, redecode.Reading{Observations: slices.Clone(a.back.Observations), Refused: live.Refused}
}

// route is what the payload's topic says by the newer rules.
func (a *Reread) route(k *sensor.LoggedPayload) (r route, ok bool) {
	at := place{k.Source, k.Topic}
	if r, ok = a.routes[at]; ok {
		return r, true
	}
	router, ok := a.routers[k.Source]
	if !ok {
		return r, false
	}
	r = router.route(k.Topic)
	if len(a.routes) < maxRoutes && len(k.Topic) <= maxRouteTopic {
		a.routes[at] = r
	}
	return r, true
}
