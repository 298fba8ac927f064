package gateway

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// router finds out what a topic says: whose it is, and how its payloads are read. It belongs to one goroutine.
type router struct {
	source    *Source // nil: situ's own topics
	protocols map[string]decode.Protocol
	decoders  map[string]decode.Decoder
}

func newRouter(protocols map[string]decode.Protocol, s *Source) router {
	return router{source: s, protocols: protocols, decoders: map[string]decode.Decoder{}}
}

func protocolNames(protocols map[string]decode.Protocol) string {
	return strings.Join(slices.Sorted(maps.Keys(protocols)), ", ")
}

// route is what a topic says. Routes are remembered: a sensor publishes to one topic all its life.
type route struct {
	source  normalize.Source
	decoder decode.Decoder
	refused *sensor.DeadLetter // the topic cannot be taken, and why
	count   prometheus.Counter
}

// route reads a topic, once.
func (w *router) route(topic string) route {
	var r route
	r.source.Topic = topic
	refuse := func(reason sensor.Reason, detail string) route {
		r.refused = &sensor.DeadLetter{Reason: reason, Detail: detail, Topic: topic, Protocol: r.source.Protocol,
			Owner: r.source.Thing.Owner(), Source: r.source.Name}
		if r.refused.Owner == "" {
			r.refused.Owner = sensor.TopicOwner(topic)
		}
		return r
	}
	var settings decode.Settings
	if s := w.source; s != nil {
		r.source.Name, r.source.CRS, r.source.Protocol, settings = s.Name, s.CRS, s.Protocol, s.Settings
		r.source.Zone = s.Settings.Zone
	}
	owner, thing, err := w.names(&r, topic)
	if err != "" {
		return refuse(sensor.ReasonTopic, err)
	}
	if thing == "" {
		thing = "-" // the frame's serial names the Thing
	}
	r.source.Thing = sensor.ThingID(owner + "/" + thing)
	d, ok := w.decoders[r.source.Protocol]
	if !ok {
		p, known := w.protocols[r.source.Protocol]
		if !known {
			return refuse(sensor.ReasonProtocol, fmt.Sprintf("no protocol %q; the topic's last level must be one of %s", r.source.Protocol, protocolNames(w.protocols)))
		}
		var err error
		if d, err = p.New(settings); err != nil {
			return refuse(sensor.ReasonProtocol, err.Error())
		}
		w.decoders[r.source.Protocol] = d
	}
	r.decoder = d
	return r
}

// names finds owner and thing in a topic, by the source's patterns or by situ's own form.
func (w *router) names(r *route, topic string) (owner, thing, why string) {
	if s := w.source; s != nil {
		for _, pattern := range s.Topics {
			o, t, ok := match(pattern, topic)
			if !ok {
				continue
			}
			if s.Protocol == "" {
				break // situ's own form
			}
			if o == "" {
				o = s.Owner
			}
			if !sensor.ValidName(o) || t != "" && !sensor.ValidName(t) {
				return "", "", fmt.Sprintf("owner %q or thing %q of the topic is not a name (letters, digits, '.', '_', '-', at most 64 bytes)", o, t)
			}
			return o, t, ""
		}
	}
	owner, thing, protocol, ok := ownTopic(topic)
	if !ok {
		return "", "", "the topic is not situ/v1/{owner}/{thing}/{protocol}; publish there, or describe it as a source in the configuration"
	}
	r.source.Protocol = protocol
	return owner, thing, ""
}
