package sparkplug

import (
	"strings"
	"time"
)

// Ask implements decode.Asker: it gives the rebirth request for the node whose payload was decoded last, if its birth is
// awaited, or a message has been missing for ReorderTimeout. A node is asked again after AskEvery at the earliest, and one
// that does not answer less and less often. now is Unix ms.
func (d *Decoder) Ask(now int64) (topic string, payload []byte, ok bool) {
	n := d.last
	if n == nil || !d.named || !n.awaits(now) || n.asked != 0 && now-n.asked < AskEvery<<n.unheard {
		return "", nil, false
	}
	if n.asked = now; n.unheard < maxUnheard {
		n.unheard++
	}
	before, _, _ := strings.Cut(d.topic, namespace) // what a bridge has put there
	return before + namespace + n.key.group + "/NCMD/" + n.key.node, Append(nil, Payload{
		Time:    time.UnixMilli(now),
		Metrics: []Metric{{Name: "Node Control/Rebirth", Type: Boolean, Number: 1, Time: time.UnixMilli(now)}},
	}), true
}

// awaits: only a birth helps.
func (n *node) awaits(now int64) bool {
	switch {
	case n.want:
		return true
	case n.gaps == [4]uint64{}:
		n.gapSince = 0
		return false
	case n.gapSince == 0:
		n.gapSince = now
	}
	return now-n.gapSince >= ReorderTimeout
}
