package wasm

import (
	"context"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Bounds of what a module may say.
const (
	maxName  = 128  // bytes of a key, a unit or a serial
	maxWords = 1024 // bytes of a value in words, or of why there is none
)

var inBackground = context.Background()

// call is what a module has said of the payload in hand.
type call struct {
	module string // its name
	names  *decode.Interner
	out    []decode.Reading
	first  int            // len(out) before it
	most   int            // readings
	now    decode.Reading // what holds for the values that follow
	badGeo bool           // the position that holds is none
	empty  sensor.Reason
	failed *decode.Error
	broken error // the module breaks the ABI
}

// host gives the module what it may import.
func (p *plugin) host(ctx context.Context) error {
	i32, i64, f64 := api.ValueTypeI32, api.ValueTypeI64, api.ValueTypeF64
	b := p.runtime.NewHostModuleBuilder("situ")
	for _, f := range []struct {
		name   string
		params []api.ValueType
		do     func(*instance, args)
	}{
		{"serial", []api.ValueType{i32, i32}, (*instance).serial},
		{"time", []api.ValueType{i64}, func(in *instance, a args) { in.now.Time = int64(a[0]) }},
		{"result_time", []api.ValueType{i64}, func(in *instance, a args) { in.now.ResultTime = int64(a[0]) }},
		{"place", []api.ValueType{f64, f64}, (*instance).place},
		{"statistic", []api.ValueType{i32}, (*instance).statistic},
		{"number", []api.ValueType{i32, i32, f64, i32, i32}, (*instance).number},
		{"text", []api.ValueType{i32, i32, i32, i32}, (*instance).words},
		{"bad", []api.ValueType{i32, i32, i32, i32, i32}, (*instance).bad},
		{"fail", []api.ValueType{i32, i32, i32, i32}, (*instance).fail},
		{"empty", []api.ValueType{i32}, (*instance).nothing},
	} {
		b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) {
			if in := ctx.Value(inside{}).(*instance); in.broken == nil && in.failed == nil && in.names != nil {
				f.do(in, stack)
			}
		}), f.params, nil).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// args are a host function's, as wazero hands them over.
type args []uint64

func (a args) i32(i int) int32   { return int32(a[i]) }
func (a args) f64(i int) float64 { return math.Float64frombits(a[i]) }

// bytes reads what the arguments i and i+1 point at. They are the module's memory, and not to be kept.
func (in *instance) bytes(a args, i, most int) []byte {
	n := int(a.i32(i + 1))
	if n == 0 {
		return nil
	}
	if n > 0 && n <= most {
		if b, ok := in.module.Memory().Read(uint32(a[i]), uint32(n)); ok {
			return b
		}
	}
	in.broken = fmt.Errorf("it gives a text of %d bytes at %d, at most %d inside its memory: %w", n, uint32(a[i]), most, decode.ErrPlugin)
	return nil
}

// name reads a text that comes again and again.
func (in *instance) name(a args, i int) string { return in.names.String(in.bytes(a, i, maxName)) }

func (in *instance) serial(a args) { in.now.Serial = strings.ToValidUTF8(in.name(a, 0), "\uFFFD") }

func (in *instance) place(a args) {
	in.now.Position, in.now.HasPosition = geo.LonLat{Lon: a.f64(0), Lat: a.f64(1)}, true
	in.badGeo = !in.now.Position.Valid()
}

func (in *instance) statistic(a args) {
	s := sensor.Statistic(a.i32(0))
	if _, err := sensor.ParseStatistic(s.String()); err != nil || a.i32(0) < 0 || a.i32(0) > math.MaxUint8 {
		in.broken = fmt.Errorf("it gives statistic %d: %w", a.i32(0), decode.ErrPlugin)
		return
	}
	in.now.Statistic = s
}

func (in *instance) number(a args) {
	r := in.now
	r.Number, r.Unit = a.f64(2), in.name(a, 3)
	if math.IsNaN(r.Number) || math.IsInf(r.Number, 0) {
		r.Err = fmt.Errorf("%v: %w", r.Number, decode.ErrNumber)
	}
	in.push(in.name(a, 0), r)
}

func (in *instance) words(a args) {
	r := in.now
	b := in.bytes(a, 2, maxWords)
	if r.Text = string(b); r.Text == "" {
		return // a missing value
	}
	if !utf8.Valid(b) {
		r.Err = decode.ErrEncoding
	}
	in.push(in.name(a, 0), r)
}

func (in *instance) bad(a args) {
	r := in.now
	r.Err = cause(a.i32(2), in.bytes(a, 3, maxWords))
	in.push(in.name(a, 0), r)
}

func (in *instance) fail(a args) {
	in.failed = &decode.Error{Offset: max(-1, int(a.i32(1))), Err: cause(a.i32(0), in.bytes(a, 2, maxWords))}
}

func (in *instance) nothing(a args) {
	reasons := [...]sensor.Reason{sensor.ReasonNoValues, sensor.ReasonHeartbeat, sensor.ReasonCommand, sensor.ReasonBirth}
	if i := a.i32(0); i >= 0 && int(i) < len(reasons) {
		in.empty = reasons[i]
		return
	}
	in.broken = fmt.Errorf("it gives %d as the reason to be empty: %w", a.i32(0), decode.ErrPlugin)
}

// push appends a value.
func (in *instance) push(key string, r decode.Reading) {
	switch {
	case in.broken != nil:
		return
	case len(in.out)-in.first == in.most:
		in.failed = &decode.Error{Offset: -1, Err: fmt.Errorf("more than %d values: %w", in.most, decode.ErrBound)}
		return
	case r.Err != nil:
	case key == "" || !utf8.ValidString(key):
		r.Err = fmt.Errorf("name %q: %w", key, decode.ErrMalformed)
	case !utf8.ValidString(r.Unit):
		r.Err = fmt.Errorf("unit %q: %w", r.Unit, decode.ErrEncoding)
	case in.badGeo:
		r.Err = fmt.Errorf("lon %v lat %v: %w", r.Position.Lon, r.Position.Lat, decode.ErrPosition)
	}
	key = strings.ToValidUTF8(key, "\uFFFD")
	r.Key, r.Property = key, key
	if r.Err != nil {
		r = decode.Reading{Serial: r.Serial, Key: key, Property: key,
			Err: &decode.Error{Protocol: in.call.module, Offset: -1, Field: key, Err: r.Err}}
	}
	in.out = append(in.out, r)
}

// causes by their numbers in the ABI.
var causes = [...]error{nil, decode.ErrTruncated, decode.ErrChecksum, decode.ErrMalformed, decode.ErrUnsupported, decode.ErrEncoding,
	decode.ErrNumber, decode.ErrPosition, decode.ErrTime, decode.ErrBound}

// cause is what the module says in words, with the cause that it gives by number.
func cause(number int32, words []byte) error {
	why := decode.ErrMalformed
	if number > 0 && int(number) < len(causes) {
		why = causes[number]
	}
	if len(words) == 0 {
		return why
	}
	return fmt.Errorf("%s: %w", strings.ToValidUTF8(string(words), "\uFFFD"), why)
}
