package lorawan

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/pkg/geo"
)

// Bounds.
const (
	MaxProfiles = 256
	MaxFields   = 64
	MaxFrame    = 1024 // bytes; LoRaWAN allows 242
)

// Uplink is what a network server says about a frame, in gjson's texts, which belong to the payload.
type Uplink struct {
	Profile     [2]string // name and id of the device profile, or brand/model
	Application [2]string // name and id
	Port        int
	Data        gjson.Result // the frame in base64
}

// Profiles are those of a source. They belong to one Decoder.
type Profiles struct {
	list []*profile
	frame
	last *profile // that read the last frame; nil = none
	port int
	size int
}

type profile struct {
	decode.Profile
	fields []field
	plugin decode.Decoder
}

// New checks profiles. plugin makes the decoders of those that name one.
func New(list []decode.Profile, plugin func(decode.Settings) (decode.Decoder, error)) (*Profiles, error) {
	if len(list) > MaxProfiles {
		return nil, fmt.Errorf("%d profiles, at most %d", len(list), MaxProfiles)
	}
	ps := &Profiles{}
	for i := range list {
		p := &profile{Profile: list[i]}
		if err := p.prepare(plugin); err != nil {
			return nil, fmt.Errorf("profiles[%d] (%s): %w", i, describe(&p.Profile), err)
		}
		ps.list = append(ps.list, p)
	}
	return ps, nil
}

func (p *profile) prepare(plugin func(decode.Settings) (decode.Decoder, error)) (err error) {
	ways := 0
	for _, given := range [...]bool{p.Decoder != "", p.Plugin.File != "", len(p.Fields) > 0} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("want one of decoder: cayenne, plugin: {file: ...} and fields: [...]")
	case p.Decoder != "" && p.Decoder != "cayenne":
		return fmt.Errorf("decoder %q; there is cayenne", p.Decoder)
	case p.Port < 0 || p.Port > 255:
		return fmt.Errorf("f_port %d, want 1 to 255, or 0 for any", p.Port)
	case p.Plugin.File != "":
		p.plugin, err = plugin(decode.Settings{Plugin: p.Plugin})
	case len(p.Fields) > 0:
		p.fields, err = layout(p.Fields)
	}
	return err
}

func (p *profile) fits(u *Uplink) bool {
	return (p.Profile.Profile == "" || p.Profile.Profile == u.Profile[0] || p.Profile.Profile == u.Profile[1]) &&
		(p.Application == "" || p.Application == u.Application[0] || p.Application == u.Application[1]) &&
		(p.Port == 0 || p.Port == u.Port)
}

// Read adds the values of a frame to w, by the first profile that fits. ok is false where none does.
func (ps *Profiles) Read(w *doc.Walk, u *Uplink) (ok bool) {
	ps.last = nil
	for _, p := range ps.list {
		if p.fits(u) {
			ps.last = p
			break
		}
	}
	if ps.last == nil {
		return false
	}
	if err := ps.read(w, u); err != nil {
		w.Fail("frm_payload", u.Data, fmt.Errorf("read as %s: %w", ps.last.how(), err))
	}
	return true
}

func (ps *Profiles) read(w *doc.Walk, u *Uplink) error {
	text := u.Data.Str
	if len(text) > base64.StdEncoding.EncodedLen(MaxFrame) {
		return fmt.Errorf("%d characters of base64, at most %d bytes are a frame: %w", len(text), MaxFrame, decode.ErrBound)
	}
	f := &ps.frame
	f.w = w
	defer func() { f.w = nil }()
	f.text = append(f.text[:0], text...)
	raw, err := base64.StdEncoding.AppendDecode(f.raw[:0], f.text)
	if err != nil {
		return fmt.Errorf("no base64: %w", decode.ErrMalformed)
	}
	f.raw, ps.port, ps.size = raw, u.Port, len(raw)
	switch p := ps.last; {
	case p.plugin != nil:
		return f.ask(p.plugin, u.Port)
	case p.fields != nil:
		return f.layout(p.fields)
	}
	return f.cayenne()
}

// Note says how the last frame was read; "" = by no profile.
func (ps *Profiles) Note() string {
	if ps == nil || ps.last == nil {
		return ""
	}
	return fmt.Sprintf("no decoded object; %d raw bytes of f_port %d read as %s (%s)", ps.size, ps.port, ps.last.how(), describe(&ps.last.Profile))
}

func (p *profile) how() string {
	switch {
	case p.plugin != nil:
		return "plug-in " + p.Plugin.File
	case p.fields != nil:
		return fmt.Sprintf("%d fields", len(p.fields))
	}
	return "Cayenne LPP"
}

// Missing says what would have to be configured for an uplink that nobody decodes.
func Missing(codec string, u *Uplink) error {
	profile := u.Profile[0]
	if profile == "" {
		profile = "its device profile"
	}
	return fmt.Errorf("no decoded object: %s; or give the source a profile, such as profiles: [{profile: %.80q, f_port: %d, decoder: cayenne}] (docs/sources.md): %w",
		codec, profile, u.Port, decode.ErrUnsupported)
}

// frame is the one in hand, and room that is used again.
type frame struct {
	w        *doc.Walk
	text     []byte
	raw      []byte
	key      []byte
	readings []decode.Reading
}

// at places the values that follow.
func (f *frame) at(p geo.LonLat) error {
	if !p.Valid() {
		return fmt.Errorf("lon %v lat %v: %w", p.Lon, p.Lat, decode.ErrPosition)
	}
	f.w.Base.Position, f.w.Base.HasPosition = p, true
	return nil
}

// ask has a plug-in read the frame. What it does not say, the network server has said.
func (f *frame) ask(plugin decode.Decoder, port int) error {
	f.key = strconv.AppendInt(append(f.key[:0], "lorawan/"...), int64(port), 10)
	var err error
	f.readings, err = decode.DecodeOn(plugin, f.readings[:0], f.w.KeepBytes(f.key), f.raw)
	if err != nil {
		return err
	}
	if e, ok := plugin.(decode.Emptier); ok && len(f.readings) == 0 {
		f.w.Nothing(e.Empty())
	}
	for _, r := range f.readings {
		base := &f.w.Base
		if r.Serial == "" {
			r.Serial = base.Serial
		}
		if r.Time == 0 {
			r.Time = base.Time
		}
		if !r.HasPosition {
			r.Position, r.HasPosition = base.Position, base.HasPosition
		}
		r.Quality |= base.Quality
		f.w.Put(r)
	}
	clear(f.readings)
	return nil
}
