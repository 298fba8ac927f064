package chirpstack

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

// serial reads an EUI: 16 hexadecimal digits, or base64 of 8 bytes.
func (d *Decoder) serial(v gjson.Result) {
	if len(v.Str) == 16 && isHex(v.Str) {
		d.Base.Serial = d.Keep(v.Str)
		return
	}
	var text [12]byte
	var raw [9]byte
	if len(v.Str) == len(text) {
		copy(text[:], v.Str)
		if n, err := base64.StdEncoding.Decode(raw[:], text[:]); err == nil && n == 8 {
			hex.Encode(d.eui[:], raw[:8])
			d.Base.Serial = d.KeepBytes(d.eui[:])
			return
		}
	}
	d.Fail("devEui", v, fmt.Errorf("%.40q is no EUI (16 hexadecimal digits, or base64 of 8 bytes): %w", v.Str, decode.ErrMalformed))
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; c-'0' > 9 && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// maxApart is how far a gateway's clock may be from the network server's: a network answers its devices within seconds.
const maxApart = 5 * 60 * 1000

// time finds when the uplink was heard.
func (d *Decoder) time(e *event) {
	gateway, server := e.gateway, e.server
	if e.published.Exists() {
		ms, err := doc.Time(e.published, nil)
		if err != nil {
			d.Fail("publishedAt", e.published, err)
			return
		}
		server = ms
	}
	if e.time.Exists() && e.time.Type != gjson.Null {
		ms, err := doc.Time(e.time, nil)
		if err != nil {
			d.Fail("time", e.time, err)
			return
		}
		gateway = ms
	}
	switch {
	case gateway == 0:
		d.Base.Time = server
	case server == 0 || max(gateway-server, server-gateway) <= maxApart:
		d.Base.Time = gateway
	case d.Strict:
		d.Fail("time", e.time, fmt.Errorf("the gateway's clock is %d s from the network server's: %w", (gateway-server)/1000, decode.ErrTime))
	default:
		d.Base.Time = server
	}
}

// heard finds the first time of a gateway and of the network server in rxInfo.
func (e *event) heard(rx doc.Members) {
	first := func(t *int64, v gjson.Result) {
		if ms, err := doc.Time(v, nil); err == nil && (*t == 0 || ms < *t) {
			*t = ms
		}
	}
	for rx.Next() {
		for m := rx.Members(); m.Next(); {
			switch m.Name() {
			case "time", "gwTime":
				first(&e.gateway, m.Value())
			case "nsTime":
				first(&e.server, m.Value())
			}
		}
	}
}
