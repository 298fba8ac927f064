package hj212

import (
	"bytes"
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// use is what the param of code-param=value makes of the value.
type use uint8

const (
	asOther  use = iota // not known: a number whose name is code-param as a whole
	asNumber            // a number of the code
	asFlag              // quality of the code's other values
	asSample            // when the code's other values held
	asWords             // a number or words, named code-param
	asNothing
)

// params is table 8 of HJ 212-2017, what older and noise stations send, and one typo that devices keep sending.
var params = []struct {
	name string
	use  use
	st   sensor.Statistic
}{
	{"Rtd", asNumber, sensor.Instant}, {"Flag", asFlag, 0},
	{"Avg", asNumber, sensor.Average}, {"Min", asNumber, sensor.Minimum}, {"Max", asNumber, sensor.Maximum},
	{"Cou", asNumber, sensor.Sum},
	{"ZsRtd", asNumber, sensor.ConvertedInstant}, {"ZsAvg", asNumber, sensor.ConvertedAverage},
	{"ZsMin", asNumber, sensor.ConvertedMinimum}, {"ZsMax", asNumber, sensor.ConvertedMaximum},
	{"ValidNum", asNumber, sensor.Count}, {"TotalNum", asNumber, sensor.Count},
	{"Data", asNumber, sensor.Average}, {"DayData", asNumber, sensor.Average}, {"NightData", asNumber, sensor.Average},
	{"SampleTime", asSample, 0}, {"Info", asWords, 0},
	{"EFlag", asNothing, 0}, // the instrument's own marks, without a common meaning
	{"td", asNumber, sensor.Instant},
}

func lookParam(name []byte) (use, sensor.Statistic) {
	for i := range params {
		if string(name) == params[i].name {
			return params[i].use, params[i].st
		}
	}
	for i := range params {
		if len(name) == len(params[i].name) && bytes.EqualFold(name, []byte(params[i].name)) {
			return params[i].use, params[i].st
		}
	}
	return asOther, sensor.Instant
}

// quality is the meaning of a flag (package doc); flags of several letters add up.
func quality(flag []byte) (q sensor.Quality) {
	for _, c := range flag {
		switch c {
		case 'N', 'n', '1', '3', ' ':
		case 'C', 'c', 'M', 'm', '0':
			q |= sensor.SourceCalib
		case 'T', 't':
			q |= sensor.SourceOver | sensor.SourceFault
		case 'S', 's':
			q |= sensor.Estimated
		default:
			q |= sensor.SourceFault
		}
	}
	return q
}

// Kind says what a frame is for.
type Kind uint8

// The kinds of frames, by CN.
const (
	Data            Kind = iota // measured values
	Command                     // asks or sets something; logs and settings of the device
	Acknowledgement             // to a command or to data
	Boot                        // the device reports that it has started
	Heartbeat                   // nothing but a sign of life
)

// kindOf follows table 9 of HJ 212-2017, to which HJ 212-2025 adds data (2013 raw values, 2052 single noises, 2062 checks
// against standards, 2111 furnace temperatures), settings (1001, 1002, 1014) and the heartbeat 9015. ok is false for what is no CN.
func kindOf(cn []byte) (k Kind, ok bool) {
	n := decode.Digits(cn)
	if len(cn) != 4 || n < 0 {
		return 0, false
	}
	switch {
	case n == 2012, n == 2022: // stop sending
		return Command, true
	case n == 2081:
		return Boot, true
	case n >= 2000 && n <= 2999, n == 8051: // 8051: values of a cycle of measuring
		return Data, true
	case n >= 9011 && n <= 9014:
		return Acknowledgement, true
	case n >= 9000:
		return Heartbeat, true
	}
	return Command, true
}

// empty is the counted reason why frames of the kind have no readings.
func (k Kind) empty() sensor.Reason {
	switch k {
	case Command, Acknowledgement:
		return sensor.ReasonCommand
	case Boot:
		return sensor.ReasonBirth
	case Heartbeat:
		return sensor.ReasonHeartbeat
	}
	return sensor.ReasonNoValues
}

// parseTime reads YYYYMMDDhhmmss, with or without zzz behind it.
func parseTime(b []byte, zone *time.Location) (ms int64, ok bool) {
	if len(b) != 14 && len(b) != 17 {
		return 0, false
	}
	c := decode.Clock{
		Year: decode.Digits(b[:4]), Month: decode.Digits(b[4:6]), Day: decode.Digits(b[6:8]),
		Hour: decode.Digits(b[8:10]), Minute: decode.Digits(b[10:12]), Second: decode.Digits(b[12:14]),
	}
	if len(b) == 17 {
		c.Millisecond = decode.Digits(b[14:])
	}
	if min(c.Year, c.Hour, c.Minute, c.Second, c.Millisecond) < 0 {
		return 0, false
	}
	ms, ok = c.UnixMilli(zone)
	return ms, ok && ms != 0
}

// ParseTime reads a time of the standard, 14 digits or 17 with milliseconds, and gives Unix milliseconds.
func ParseTime(s string, zone *time.Location) (int64, error) {
	ms, ok := parseTime([]byte(s), zone)
	if !ok {
		return 0, fmt.Errorf("%.40q is not YYYYMMDDhhmmss or YYYYMMDDhhmmsszzz: %w", s, decode.ErrTime)
	}
	return ms, nil
}
