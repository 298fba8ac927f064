package ecowitt

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

const protocol = "ecowitt"

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

// Decoder turns payloads into Readings; one a connection, from one goroutine.
type Decoder struct {
	doc.Walk
}

// New makes a Decoder.
func New(s decode.Settings) (*Decoder, error) {
	w, err := doc.NewWalk(protocol, s)
	return &Decoder{w}, err
}

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	body, err := d.BeginText(dst, payload)
	if err != nil {
		return dst, err
	}
	body = strings.TrimSpace(body)
	d.fields(body, d.head)
	if d.Strict && d.Base.Time == 0 && !d.Failed() {
		d.Fail("dateutc", gjson.Result{}, fmt.Errorf("it names no time: %w", decode.ErrTime))
	}
	if !d.Failed() {
		d.fields(body, d.value)
	}
	return d.End()
}

// fields calls back with each name and value.
func (d *Decoder) fields(body string, field func(at gjson.Result, name, value string)) {
	for at := 0; at < len(body) && !d.Failed(); {
		pair, _, _ := strings.Cut(body[at:], "&")
		where := gjson.Result{Type: gjson.String, Index: at}
		at += len(pair) + 1
		if pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		n, err := url.QueryUnescape(name)
		v, errValue := url.QueryUnescape(value)
		if !ok || err != nil || errValue != nil {
			d.Fail("", where, fmt.Errorf("no name=value of a form: %w", decode.ErrMalformed))
			return
		}
		field(where, strings.ToValidUTF8(n, ""), strings.ToValidUTF8(v, ""))
	}
}

// head takes what holds for all values.
func (d *Decoder) head(at gjson.Result, name, value string) {
	switch name {
	case "PASSKEY":
		if value != "" {
			sum := sha256.Sum256([]byte(value))
			d.Base.Serial = d.Keep(fmt.Sprintf("ecowitt-%x", sum[:6]))
		}
	case "dateutc":
		if value == "now" || value == "" {
			return
		}
		ms, err := doc.ParseTime(value, time.UTC)
		if err != nil {
			d.Fail(name, at, err)
		}
		d.Base.Time = ms
	}
}

func (d *Decoder) value(at gjson.Result, name, value string) {
	unit := unitOf(name)
	value = strings.TrimSpace(value)
	if unit == doc.Skip || value == "" || value == "--" || value == "--.-" {
		return
	}
	x, err := doc.ParseNumber(value)
	if err != nil {
		d.Refuse(name, at, err)
	} else if x != -9999 {
		d.Number(name, x, unit)
	}
}
