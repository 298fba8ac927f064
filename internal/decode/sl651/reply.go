package sl651

import "time"

// Stay says what the center wants of the station's line after an answer.
type Stay bool

// The wishes.
const (
	HangUp Stay = false // EOT: the station may leave
	Online Stay = true  // ESC: it listens for commands for ten more minutes
)

// Reply appends the center's answer to f, sent at the moment at, whose zone is the station's: what was sent is safe
// (6.3.1.2). ok is false when the standard has no answer: to frames of the center, to link reports (2F), and to a
// packet that is not the last one of its set, which is answered once, when the set is whole.
//
// A frame that others follow (ETB) is answered with ACK, the last one with EOT or ESC. The answer bears the serial number,
// function and password of what it answers. Of a set of packets, f is any one and lead the first one, whose serial
// number counts; lead is nil otherwise.
func Reply(dst []byte, f, lead *Frame, at time.Time, stay Stay) (answer []byte, ok bool) {
	if f.Down || functions[f.Function] == heartbeat || f.Total > 0 && f.Number != f.Total {
		return dst, false
	}
	end := byte(eot)
	switch {
	case f.End == etb && f.Total == 0:
		end = ack
	case stay == Online:
		end = esc
	}
	return answerTo(dst, f, lead, f.Number, end, at)
}

// Refuse appends the center's demand (NAK) that packet number of the set that f belongs to be sent again.
func Refuse(dst []byte, f, lead *Frame, number int, at time.Time) (answer []byte, ok bool) {
	if f.Down || f.Total == 0 || number < 1 || number > f.Total {
		return dst, false
	}
	return answerTo(dst, f, lead, number, nak, at)
}

func answerTo(dst []byte, f, lead *Frame, number int, end byte, at time.Time) ([]byte, bool) {
	if lead == nil {
		lead = f
	}
	a := Frame{
		Text: f.Text, Down: true, Center: f.Center, Station: f.Station, Password: f.Password, Function: f.Function,
		End: end, Serial: lead.Serial, Sent: at.Format("060102150405"), Total: f.Total, Number: number,
	}
	out, err := Append(dst, a)
	return out, err == nil
}
