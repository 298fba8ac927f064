package decode

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want float64
	}{
		{"0", 1, 0}, {"-0", 2, math.Copysign(0, -1)}, {"12", 2, 12}, {"12.50,", 5, 12.5}, {"1e3}", 3, 1000}, {"1E+3", 4, 1000},
		{"-1.5e-3 ", 7, -0.0015}, {"9007199254740993", 16, 9007199254740992}, {"0.1", 3, 0.1}, {"5e-324", 6, 5e-324},
		{"1e-99999999999999999999", 23, 0}, {"0e99999999999", 13, 0}, {"1.7976931348623157e308", 22, math.MaxFloat64},
		{"123456789012345678901234567890", 30, 123456789012345678901234567890},
		{"0.0000000000000000000000000001", 30, 1e-28}, {"1e22", 4, 1e22}, {"1e23", 4, 1e23},
		{"", 0, 0}, {"-", 0, 0}, {"+1", 0, 0}, {".5", 0, 0}, {"5.", 0, 0}, {"5.e1", 0, 0}, {"01", 0, 0}, {"-01", 0, 0},
		{"1e", 0, 0}, {"1e+", 0, 0}, {"NaN", 0, 0}, {"Infinity", 0, 0}, {"x", 0, 0}, {"0x10", 1, 0}, {"1_000", 1, 1},
	} {
		got, n, err := Number([]byte(c.text))
		if got != c.want || math.Signbit(got) != math.Signbit(c.want) || n != c.n || err != nil {
			t.Errorf("%q: %v, %d bytes, %v; want %v, %d bytes", c.text, got, n, err, c.want, c.n)
		}
	}
	for _, text := range []string{"1e309", "-1e400", "1e99999999999999999999", strings.Repeat("9", 400)} {
		if _, n, err := Number([]byte(text)); n != len(text) || !errors.Is(err, ErrNumber) {
			t.Errorf("%.20s: %d bytes, %v", text, n, err)
		}
	}
}

// The fast way must round as strconv does, bit for bit.
func TestNumberRoundsAsStrconv(t *testing.T) {
	const seed = 20260101
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200_000 {
		var text string
		switch r.IntN(3) {
		case 0:
			text = strconv.FormatFloat(math.Float64frombits(r.Uint64()), 'g', -1, 64)
		case 1:
			text = strconv.FormatFloat(r.NormFloat64()*100, 'f', r.IntN(12), 64)
		default:
			text = fmt.Sprintf("%d.%de%d", r.Int64N(1e10), r.Int64N(1e12), r.IntN(60)-30)
		}
		want, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(want) || math.IsInf(want, 0) {
			continue
		}
		if got, n, err := Number([]byte(text)); got != want || n != len(text) || err != nil {
			t.Fatalf("seed %d: %s: %v, %d bytes, %v; want %v", seed, text, got, n, err, want)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-1.5e-3", "123456789012345678901234567890", "1e400", "0.1x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, n, err := Number(b)
		if n == 0 {
			return
		}
		want, wantErr := strconv.ParseFloat(string(b[:n]), 64)
		if (err != nil) != (wantErr != nil) || err == nil && v != want {
			t.Fatalf("%q: %v %v, strconv says %v %v", b[:n], v, err, want, wantErr)
		}
	})
}

func TestReasonOf(t *testing.T) {
	for err, want := range map[error]sensor.Reason{
		ErrTruncated: sensor.ReasonTruncated, ErrChecksum: sensor.ReasonChecksum, ErrMalformed: sensor.ReasonMalformed,
		ErrUnsupported: sensor.ReasonUnsupported, ErrEncoding: sensor.ReasonEncoding, ErrNumber: sensor.ReasonNumber,
		ErrPosition: sensor.ReasonPosition, ErrTime: sensor.ReasonTime, ErrBound: sensor.ReasonBound,
		ErrEmpty: sensor.ReasonEmpty, errors.New("another"): sensor.ReasonMalformed,
	} {
		wrapped := &Error{Protocol: "p", Offset: 3, Field: "f", Err: fmt.Errorf("why: %w", err)}
		if got := ReasonOf(wrapped); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func TestErrorSaysWhere(t *testing.T) {
	for _, c := range []struct {
		err  Error
		want string
	}{
		{Error{Protocol: "json", Offset: -1, Err: ErrEmpty}, "json: payload is empty"},
		{Error{Protocol: "json", Offset: 0, Err: ErrEmpty}, "json at byte 0: payload is empty"},
		{Error{Protocol: "hj212", Offset: 7, Field: "MN", Err: ErrEmpty}, `hj212 field "MN" at byte 7: payload is empty`},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestInterner(t *testing.T) {
	var in Interner
	b := []byte("pm2_5")
	s := in.String(b)
	b[0] = 'X'
	if s != "pm2_5" {
		t.Error("aliases its bytes:", s)
	}
	if n := testing.AllocsPerRun(100, func() { in.String([]byte("pm2_5")) }); n != 0 {
		t.Errorf("%v allocations for a known name", n)
	}
	for i := range 10_000 {
		if got := in.String(fmt.Appendf(nil, "n%d", i)); got != fmt.Sprintf("n%d", i) {
			t.Fatal(got)
		}
	}
	if long := strings.Repeat("x", 65); in.String([]byte(long)) != long {
		t.Error("a long name changed")
	}
	if len(in.m) > 4096 {
		t.Errorf("keeps %d names", len(in.m))
	}
}

func TestLocation(t *testing.T) {
	for _, zone := range []string{"", "Asia/Shanghai", "PRC"} {
		loc, err := Settings{Zone: zone}.Location()
		if err != nil {
			t.Fatal(err)
		}
		if ms, ok := (Clock{2026, 1, 1, 8, 0, 0, 1}).UnixMilli(loc); ms != 1767225600001 || !ok {
			t.Errorf("%q: %d %t", zone, ms, ok)
		}
	}
	if loc, err := (Settings{Zone: "UTC"}).Location(); err != nil || loc != time.UTC {
		t.Error(loc, err)
	}
	if _, err := (Settings{Zone: "Middle/Earth"}).Location(); err == nil {
		t.Error("an unknown zone passed")
	}
}

func TestClockRefuses(t *testing.T) {
	for _, c := range []Clock{
		{2026, 0, 1, 0, 0, 0, 0}, {2026, 13, 1, 0, 0, 0, 0}, {2026, 1, 0, 0, 0, 0, 0}, {2026, 4, 31, 0, 0, 0, 0},
		{2026, 2, 29, 0, 0, 0, 0}, {1900, 2, 29, 0, 0, 0, 0}, {2026, 1, 1, 24, 0, 0, 0}, {2026, 1, 1, 0, 60, 0, 0},
		{2026, 1, 1, 0, 0, 61, 0},
	} {
		if ms, ok := c.UnixMilli(time.UTC); ok {
			t.Errorf("%+v is %d", c, ms)
		}
	}
	for _, c := range []Clock{{2000, 2, 29, 0, 0, 0, 0}, {2024, 2, 29, 23, 59, 60, 999}} {
		if _, ok := c.UnixMilli(time.UTC); !ok {
			t.Errorf("%+v refused", c)
		}
	}
}

func TestDigits(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "007": 7, "999999999": 999999999, "": -1, "-1": -1, "1a": -1, "1234567890": -1} {
		if got := Digits([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		encoding, in, want string
		bad                int
	}{
		{"", "超标", "超标", -1}, {"UTF-8", "ab\xb3", "", 2}, {"GBK", "\xb3\xac\xb1\xea", "超标", -1},
		{"gb18030", "plain", "plain", -1}, {"gb2312", "a\xff", "", 0},
	} {
		text, err := NewText(c.encoding)
		if err != nil {
			t.Fatal(err)
		}
		if got, bad := text.UTF8([]byte(c.in)); string(got) != c.want || bad != c.bad {
			t.Errorf("%s %q: %q, bad %d", c.encoding, c.in, got, bad)
		}
	}
	if _, err := NewText("latin1"); err == nil {
		t.Error("an unknown encoding passed")
	}
}

// The places that are found in a conversion are told as those of the payload: also several, in any order, and twice the same.
func TestLocate(t *testing.T) {
	gb, err := NewText("gb18030")
	if err != nil {
		t.Fatal(err)
	}
	payload, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte("温度😀a§b"))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := gb.UTF8(payload)
	e := func(at int) *Error { return &Error{Offset: at, Err: ErrMalformed} }
	one := e(6)
	readings := []Reading{{Err: e(13)}, {}, {Err: fmt.Errorf("row: %w", e(3))}, {Err: one}, {Err: e(-1)}, {Err: e(0)}}
	gb.Locate(payload, text, readings, one)
	for i, want := range []int{11, 0, 2, 4, -1, 0} {
		var got *Error
		if errors.As(readings[i].Err, &got) && got.Offset != want {
			t.Errorf("%d: at %d, want %d", i, got.Offset, want)
		}
	}
	same := e(3)
	Text{}.Locate(payload, text, nil, same)
	gb.Locate([]byte("ascii"), []byte("ascii"), nil, same)
	if same.Offset != 3 {
		t.Error(same.Offset)
	}
}
