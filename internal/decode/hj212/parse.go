package hj212

import (
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
)

// Frame is all that stands in one frame, as sent.
type Frame struct {
	QN, ST, CN string
	PW         string // the access password: never logged, never stored
	MN, Flag   string
	PNUM, PNO  string
	Extra      []Field // header fields the standard does not know
	DataTime   string  // the first one
	Fields     []Field // other fields of CP that are no values, in order
	Values     []Value // code-param=value, in order, flags aside

	Declared int // bytes of data by the length field
	Actual   int // bytes of data there are
	Checksum Checksum
}

// Field is name=value.
type Field struct{ Name, Value string }

// Value is code-param=value with the flag of its code.
type Value struct {
	Code  string // "a34004"; with an unknown form of name, all of it
	Param string // "Rtd", "Avg", ...
	Text  string
	Flag  string // "" = none given
}

// Checksum compares the CRC of a frame with the standard's.
type Checksum struct {
	Declared string // as sent
	Right    uint16 // by appendix A
	OK       bool
	Variant  string // which known wrong way of counting gives the declared one, "" = none
}

// Kind says what the frame is for; a CN that is no number counts as Command.
func (f *Frame) Kind() Kind {
	k, ok := kindOf([]byte(f.CN))
	if !ok {
		return Command
	}
	return k
}

// Time is DataTime in Unix milliseconds.
func (f *Frame) Time(zone *time.Location) (int64, error) { return ParseTime(f.DataTime, zone) }

// Parse reads the first frame in payload and shows everything in it. CRC and length are compared, not judged, and
// values are not read as numbers. The Frame does not alias payload.
func Parse(payload []byte) (Frame, error) {
	start, end, closed, ok := next(payload, 0)
	if !ok {
		return Frame{}, fault(0, "", fmt.Errorf("no frame begins here (##): %w", decode.ErrMalformed))
	}
	e, err := open(payload, start, end, closed)
	if err != nil {
		return Frame{}, err
	}
	if _, bad := (decode.Text{}).UTF8(e.data); bad >= 0 {
		return Frame{}, fault(e.at+bad, "", decode.ErrEncoding)
	}
	f := Frame{Declared: e.declared, Actual: len(e.data)}
	f.Checksum = Checksum{Declared: string(e.sumText), Right: e.right, OK: e.sum == e.right}
	if !f.Checksum.OK {
		f.Checksum.Variant = variant(e.data, e.sum)
	}
	var h header
	err = h.read(e.data, func(name, value []byte) {
		f.Extra = append(f.Extra, Field{string(name), string(value)})
	})
	if err != nil {
		return Frame{}, shift(err, e.at)
	}
	f.QN, f.ST, f.CN, f.PW = string(h.qn), string(h.st), string(h.cn), string(h.pw)
	f.MN, f.Flag, f.PNUM, f.PNO = string(h.mn), string(h.flag), string(h.pnum), string(h.pno)
	f.readCP(h.cp)
	return f, nil
}

// readCP fills the parts that stand in CP.
func (f *Frame) readCP(cp []byte) {
	s := items{b: cp}
	group := 0
	var flags []Field // of the current group: code and flag
	for {
		it, ok := s.next()
		if !ok {
			return
		}
		name, value := string(it.name), string(it.value)
		switch {
		case !it.whole:
			f.Values = append(f.Values, Value{Code: name, Text: value})
		case it.dash < 0 && name == "DataTime" && f.DataTime == "":
			f.DataTime = value
		case it.dash < 0:
			f.Fields = append(f.Fields, Field{name, value})
		default:
			code, param := name[:it.dash], name[it.dash+1:]
			if use, _ := lookParam(it.name[it.dash+1:]); use == asFlag {
				flags = append(flags, Field{code, value})
			} else {
				f.Values = append(f.Values, Value{Code: code, Param: param, Text: value})
			}
		}
		if it.closes {
			for _, flag := range flags {
				f.setFlag(group, flag)
			}
			flags, group = flags[:0], len(f.Values)
		}
	}
}

// setFlag is apply for Values: the group's values of the code, else those just before it.
func (f *Frame) setFlag(group int, flag Field) {
	found := false
	for i := group; i < len(f.Values); i++ {
		if f.Values[i].Code == flag.Name {
			f.Values[i].addFlag(flag.Value)
			found = true
		}
	}
	for i := group - 1; !found && i >= 0 && f.Values[i].Code == flag.Name; i-- {
		f.Values[i].addFlag(flag.Value)
	}
}

// addFlag keeps both of two flags that contradict one another.
func (v *Value) addFlag(flag string) {
	if v.Flag != flag {
		v.Flag += flag
	}
}
