package sparkplug

import "time"

// Ask implements decode.Asker: it gives the rebirth request for the node whose payload was decoded last, if its birth is
// awaited and it has not been asked within AskEvery. now is Unix ms.
func (d *Decoder) Ask(now int64) (topic string, payload []byte, ok bool) {
	n := d.last
	if n == nil || !n.want || !d.named || n.asked != 0 && now-n.asked < AskEvery {
		return "", nil, false
	}
	n.asked = now
	return namespace + n.key.group + "/NCMD/" + n.key.node, Append(nil, Payload{
		Time:    time.UnixMilli(now),
		Metrics: []Metric{{Name: "Node Control/Rebirth", Type: Boolean, Number: 1, Time: time.UnixMilli(now)}},
	}), true
}
