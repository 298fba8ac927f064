package gateway

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/mapped"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// router finds out what a topic says: whose it is, and how its payloads are read. It belongs to one goroutine.
type router struct {
	source    *Source   // nil: situ's own topics, and those of embedded
	embedded  *embedded // nil: none
	protocols map[string]decode.Protocol
	decoders  map[read]*reader
	keepOwn   []string // filters of situ's own topics whose payloads are kept
}

// read is a protocol as one source sets it up.
type read struct {
	source   *Source
	protocol string
}

// reader decodes it.
type reader struct {
	decoder decode.Decoder
	state   *mapped.State // nil: the decoder has the last word
}

func newRouter(protocols map[string]decode.Protocol, s *Source) router {
	return router{source: s, protocols: protocols, decoders: map[read]*reader{}}
}

func protocolNames(protocols map[string]decode.Protocol) string {
	return strings.Join(slices.Sorted(maps.Keys(protocols)), ", ")
}

// route is what a topic says. Routes are remembered: a sensor publishes to one topic all its life.
type route struct {
	source  normalize.Source
	decoder decode.Decoder
	asker   decode.Asker       // nil: it asks for nothing
	refused *sensor.DeadLetter // the topic cannot be taken, and why
	keep    bool               // payloads are kept as they come
	count   prometheus.Counter
}

// route reads a topic, once.
func (w *router) route(topic string) route {
	var r route
	r.source.Topic = topic
	s := w.source
	if s == nil {
		s = w.embedded.source(topic)
	}
	refuse := func(reason sensor.Reason, detail string) route {
		r.refused = &sensor.DeadLetter{Reason: reason, Detail: detail, Topic: topic, Protocol: r.source.Protocol,
			Owner: r.source.Thing.Owner(), Source: r.source.Name}
		if r.refused.Owner == "" && s != nil {
			r.refused.Owner = s.Owner
		}
		if r.refused.Owner == "" {
			r.refused.Owner = sensor.TopicOwner(topic)
		}
		return r
	}
	r.keep = s == nil && slices.ContainsFunc(w.keepOwn, func(f string) bool { _, ok := match(f, topic); return ok })
	if s != nil {
		r.keep = s.Keep == keepRaw
		r.source.Name, r.source.CRS, r.source.Protocol, r.source.Zone = s.Name, s.CRS, s.Protocol, s.Settings.Zone
	}
	owner, thing, parts, why := w.names(s, &r, topic)
	if why != "" {
		return refuse(sensor.ReasonTopic, why)
	}
	if thing == "" {
		thing = "-" // the payload names the Thing
	}
	r.source.Thing = sensor.ThingID(owner + "/" + thing)
	rd, refused, detail := w.reader(s, r.source.Protocol)
	if rd == nil {
		return refuse(refused, detail)
	}
	r.decoder = rd.decoder
	r.asker = s.asker(rd.decoder)
	if rd.state != nil {
		r.decoder = rd.state.On(topic, owner, parts)
	}
	return r
}

// reader gives the decoder of a source for a protocol, or why there is none.
func (w *router) reader(s *Source, protocol string) (rd *reader, reason sensor.Reason, why string) {
	if rd, ok := w.decoders[read{s, protocol}]; ok {
		return rd, "", ""
	}
	p, known := w.protocols[protocol]
	if !known {
		return nil, sensor.ReasonProtocol, fmt.Sprintf("no protocol %q; the topic's last level must be one of %s", protocol, protocolNames(w.protocols))
	}
	var settings decode.Settings
	if s != nil {
		settings = s.Settings
	}
	d, err := p.New(settings)
	if err != nil {
		return nil, sensor.ReasonProtocol, err.Error()
	}
	rd = &reader{decoder: d}
	if s != nil && s.program != nil {
		rd.state = s.program.NewState(d)
	}
	w.decoders[read{s, protocol}] = rd
	return rd, "", ""
}

// names finds owner, thing and the parts with names in a topic, by the source's patterns or by situ's own form.
func (w *router) names(s *Source, r *route, topic string) (owner, thing string, parts map[string]string, why string) {
	if s != nil {
		for _, pattern := range s.Topics {
			parts, ok := match(pattern, topic)
			if !ok {
				continue
			}
			if s.Protocol == "" {
				break // situ's own form
			}
			owner, thing := parts["owner"], parts["thing"]
			if owner == "" {
				owner = s.Owner
			}
			if s.program != nil && s.program.Named() {
				var err error
				if thing, err = s.program.Name(parts); err != nil {
					return "", "", nil, fmt.Sprintf("the topic's parts make no Thing: %v", err)
				}
			}
			if !sensor.ValidName(owner) || thing != "" && !sensor.ValidName(thing) {
				return "", "", nil, fmt.Sprintf("owner %q or thing %q of the topic is not a name (letters, digits, '.', '_', '-', at most 64 bytes)", owner, thing)
			}
			return owner, thing, parts, ""
		}
	}
	owner, thing, protocol, ok := ownTopic(topic)
	if !ok {
		return "", "", nil, "the topic is not situ/v1/{owner}/{thing}/{protocol}; publish there, or describe it as a source in the configuration"
	}
	r.source.Protocol = protocol
	return owner, thing, nil, ""
}
