package gb26875

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/situ-city/situ/internal/decode"
)

// Append appends p as a packet. Length and sum are made here, those in p are not looked at. A data unit beyond 1,024 bytes
// is refused.
func Append(dst []byte, p Packet) ([]byte, error) {
	if len(p.Data) > maxData {
		return dst, fmt.Errorf("a data unit of %d bytes, at most %d: %w", len(p.Data), maxData, decode.ErrBound)
	}
	begin := len(dst)
	dst = append(dst, sign, sign)
	dst = binary.LittleEndian.AppendUint16(dst, p.Serial)
	dst = append(append(dst, p.Version[:]...), p.Time[:]...)
	for _, a := range [...]uint64{p.Source, p.Target} {
		for i := range 6 {
			dst = append(dst, byte(a>>(8*i)))
		}
	}
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(p.Data)))
	dst = append(append(dst, p.Command), p.Data...)
	dst = append(dst, 0, mark, mark)
	dst[len(dst)-tail] = sum(dst[begin:])
	return dst, nil
}

// Label is t as a packet says it (8.2.2), in t's zone.
func Label(t time.Time) [6]byte {
	return [6]byte{byte(t.Second()), byte(t.Minute()), byte(t.Hour()), byte(t.Day()), byte(t.Month()), byte(t.Year() % 100)}
}

// Component says where a component is.
type Component struct {
	SystemType, System byte
	Type               byte
	Zone, Place        uint16
}

func (c Component) append(dst []byte) []byte {
	dst = append(dst, c.SystemType, c.System, c.Type)
	dst = binary.LittleEndian.AppendUint16(dst, c.Zone)
	return binary.LittleEndian.AppendUint16(dst, c.Place)
}

// AppendUnit appends the head of a data unit: its type and how many objects follow.
func AppendUnit(dst []byte, kind byte, objects int) []byte { return append(dst, kind, byte(objects)) }

// AppendSystem appends an object of type 1: the state of a system.
func AppendSystem(dst []byte, systemType, system byte, bits uint16, at time.Time) []byte {
	dst = binary.LittleEndian.AppendUint16(append(dst, systemType, system), bits)
	label := Label(at)
	return append(dst, label[:]...)
}

// AppendState appends an object of type 2: the state of a component. The description is cut at 31 bytes of GB 18030.
func AppendState(dst []byte, c Component, bits uint16, description string, at time.Time) ([]byte, error) {
	words, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(description))
	if err != nil {
		return dst, fmt.Errorf("description: %w", decode.ErrEncoding)
	}
	var room [31]byte
	copy(room[:], words)
	dst = binary.LittleEndian.AppendUint16(c.append(dst), bits)
	label := Label(at)
	return append(append(dst, room[:]...), label[:]...), nil
}

// AppendAnalog appends an object of type 3: value, counted in the table's smallest part of its unit.
func AppendAnalog(dst []byte, c Component, kind byte, value int16, at time.Time) []byte {
	dst = binary.LittleEndian.AppendUint16(append(c.append(dst), kind), uint16(value))
	label := Label(at)
	return append(dst, label[:]...)
}
