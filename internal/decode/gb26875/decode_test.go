package gb26875

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSettings(t *testing.T) {
	for _, s := range []decode.Settings{{CRC: "maybe"}, {Zone: "Middle/Earth"}, {Encoding: "EBCDIC"}} {
		if _, err := Protocol().New(s); err == nil {
			t.Errorf("%+v passed", s)
		}
	}
}

// at is the time of the packets and objects of these tests.
var at = time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)

// from is a packet of a fire unit.
func from(data ...byte) Packet {
	return Packet{Serial: 7, Version: [2]byte{1, 1}, Time: Label(at.Add(3 * time.Second)), Source: 0x379, Target: 0x5b38, Command: Send, Data: data}
}

func packet(t testing.TB, p Packet) []byte {
	t.Helper()
	b, err := Append(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decoder(tb testing.TB, s decode.Settings) *Decoder {
	tb.Helper()
	d, err := New(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// smoke is a smoke detector.
var smoke = Component{SystemType: 1, System: 3, Type: 40, Zone: 10, Place: 2}

// alarm is a data unit: n smoke detectors see fire.
func alarm(t testing.TB, n int) []byte {
	t.Helper()
	b := AppendUnit(nil, 2, n)
	for i := range n {
		c := smoke
		c.Place += uint16(i)
		var err error
		if b, err = AppendState(b, c, 1<<1|1, "三楼走廊", at); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// Units are UCUM's, and what the catalogue takes a name for can be counted in them.
func TestNamesInTheCatalogue(t *testing.T) {
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	for kind := range analogs {
		for _, system := range []byte{1, 11, 12} {
			for _, component := range []byte{0, 16, 17, 18, 92} {
				name, a := analogOf(system, component, byte(kind))
				m, ok := catalogue.Mean(protocol, name)
				if !ok {
					continue
				}
				if _, err := sensor.NewConversion(a.unit, m.Property.Unit); err != nil {
					t.Errorf("%s in %s: %v", name, a.unit, err)
				}
			}
		}
	}
	for _, name := range []string{"smoke_alarm", "heat_alarm", "flame_alarm", "manual_alarm", "fire_alarm", "fire_pump_state",
		"fire_door_open", "hydrant_pressure", "sprinkler_pressure", "fire_water_pressure", "fire_water_level", "residual_current",
		"cable_temperature", "voltage", "flow"} {
		if _, ok := catalogue.Mean(protocol, name); !ok {
			t.Errorf("%s is not in the catalogue", name)
		}
	}
}

func TestStateNames(t *testing.T) {
	for kind, want := range map[byte][2]string{
		0: {"fire_alarm", "started"}, 10: {"gas_alarm", "started"}, 23: {"manual_alarm", "started"}, 31: {"heat_alarm", "started"},
		44: {"smoke_alarm", "started"}, 45: {"fire_alarm", "started"}, 62: {"flame_alarm", "started"}, 91: {"fire_alarm", "fire_pump_state"},
		102: {"fire_alarm", "fire_door_open"}, 255: {"fire_alarm", "started"},
	} {
		if got := [2]string{stateName(kind, bitFire), stateName(kind, bitStarted)}; got != want {
			t.Errorf("%d: %v, want %v", kind, got, want)
		}
	}
}

// Packets arrive in pieces; whatever the pieces, they come out whole and once, noise and torn ones aside.
func TestSplitInPieces(t *testing.T) {
	one := packet(t, from(alarm(t, 1)...))
	beat := packet(t, from())
	stream := slices.Concat([]byte("www.usr.cn@"), one, beat, one[:20], one, []byte{0, 0x40}, beat, one[:40], beat, []byte("\r\n"), one)
	for size := 1; size < 100; size++ {
		counts := decodetest.Pieces(t, Split, stream, size)
		if counts[string(one)] != 3 || counts[string(beat)] != 3 || len(counts) != 4 {
			t.Fatalf("pieces of %d: %d, %d of %d", size, counts[string(one)], counts[string(beat)], len(counts))
		}
	}
}

func TestMegabyte(t *testing.T) {
	d := decoder(t, decode.Settings{CRC: "off"})
	for name, payload := range map[string]string{
		"signs":  strings.Repeat("@", 1<<20),
		"starts": strings.Repeat("@@"+strings.Repeat("\x00", 22)+"\xff\x03\x02", 1<<15),
		"digits": "4040" + strings.Repeat("23", 1<<19),
	} {
		begin := time.Now()
		_, _ = decodetest.Invariants(t, d, []byte(payload))
		_, rest := Split([]byte(payload))
		if took := time.Since(begin); took > 20*time.Second || len(rest) > maxPacket {
			t.Errorf("%s took %v, leaves %d bytes", name, took, len(rest))
		}
	}
}

func TestReply(t *testing.T) {
	later := at.Add(5 * time.Second)
	p := from(alarm(t, 1)...)
	for confirm, command := range map[bool]byte{true: Confirm, false: Deny} {
		b, ok := Reply(nil, &p, later, confirm)
		a, err := Parse(b)
		if !ok || err != nil || a.Command != command || a.Serial != p.Serial || a.Version != p.Version || a.Source != p.Target ||
			a.Target != p.Source || a.Time != Label(later) || len(a.Data) != 0 || a.Sum != a.Right {
			t.Errorf("%X: %+v, %v", b, a, err)
		}
	}
	for command := byte(1); command <= Deny; command++ {
		p.Command = command
		if _, ok := Reply(nil, &p, later, true); ok != (command == Send) {
			t.Errorf("command %d is confirmed: %t", command, ok)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	if _, err := Append(nil, from(make([]byte, 1025)...)); !errors.Is(err, decode.ErrBound) {
		t.Error(err)
	}
	if Address(0x379) != "000000000379" {
		t.Error(Address(0x379))
	}
}

func TestNoAllocation(t *testing.T) {
	d := decoder(t, decode.Settings{Encoding: "utf-8"})
	unit := AppendUnit(nil, 3, 60)
	for i := range 60 {
		unit = AppendAnalog(unit, Component{SystemType: 11, System: 1, Type: 99, Zone: uint16(i)}, 4, 6, at)
	}
	payload := packet(t, from(unit...))
	var room []decode.Reading
	if n := testing.AllocsPerRun(100, func() { room, _ = d.Decode(room[:0], payload) }); n != 0 || len(room) != 60 {
		t.Errorf("%v allocations for %d readings", n, len(room))
	}
}
