package ttn

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

// maxApart is how far a gateway's clock may be from the network server's: a network answers its devices within seconds.
const maxApart = 5 * 60 * 1000

func (d *Decoder) time(u *uplink) {
	server, err := doc.Time(u.received, nil)
	if u.received.Exists() && err != nil {
		d.Fail("received_at", u.received, err)
		return
	}
	gateway := u.heard()
	switch {
	case gateway == 0:
		d.Base.Time = server
	case server == 0 || abs(gateway-server) <= maxApart:
		d.Base.Time = gateway
	case d.Strict:
		d.Fail("settings.time", u.settings, fmt.Errorf("the gateway's clock is %d s from received_at: %w", (gateway-server)/1000, decode.ErrTime))
	default:
		d.Base.Time = server
	}
}

// heard is when a gateway says to have heard the frame, 0 if none does.
func (u *uplink) heard() int64 {
	if ms, err := doc.Time(u.settings.Get("time"), nil); err == nil {
		return ms
	}
	var first int64
	u.metadata.ForEach(func(_, gateway gjson.Result) bool {
		if ms, err := doc.Time(gateway.Get("time"), nil); err == nil && (first == 0 || ms < first) {
			first = ms
		}
		return true
	})
	return first
}

func abs(x int64) int64 { return max(x, -x) }
