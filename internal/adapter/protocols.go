package adapter

import (
	"time"

	"github.com/situ-city/situ/internal/decode/gb26875"
	"github.com/situ-city/situ/internal/decode/hj212"
	"github.com/situ-city/situ/internal/decode/sl651"
)

// beijing is the zone of the clocks in answers: China's standards know no other.
var beijing = time.FixedZone("Asia/Shanghai", 8*3600)

// Protocols lists those that devices speak over TCP.
func Protocols() []Protocol {
	return []Protocol{
		{Name: "hj212", Split: hj212.Split, Most: 1 << 14, Serial: mn, Answers: answersHJ212},
		{Name: "sl651", Split: sl651.Split, Most: 1 << 18, Serial: station, Answers: answersSL651},
		{Name: "gb26875", Split: gb26875.Split, Most: 1 << 16, Answers: answersGB26875},
	}
}

func mn(frame []byte) string {
	f, err := hj212.Parse(frame)
	if err != nil {
		return ""
	}
	return f.MN
}

// answersHJ212 answers with 9014 or 9013 where Flag asks for it.
func answersHJ212() func([]byte, time.Time) []byte {
	return func(frame []byte, _ time.Time) []byte {
		f, err := hj212.Parse(frame)
		if err != nil || !f.Checksum.OK && f.Checksum.Variant == "" {
			return nil
		}
		answer, _ := hj212.Answer(nil, &f)
		return answer
	}
}

func station(frame []byte) string {
	f, err := sl651.Parse(frame)
	if err != nil {
		return ""
	}
	return f.Station
}

// answersSL651 answers with EOT, or ACK where frames follow. A set of packets is answered under its first one's number.
func answersSL651() func([]byte, time.Time) []byte {
	var lead *sl651.Frame
	return func(frame []byte, now time.Time) []byte {
		f, err := sl651.Parse(frame)
		if err != nil || !f.Checksum.OK && f.Checksum.Variant == "" {
			return nil
		}
		switch {
		case f.Total == 0:
			lead = nil
		case f.Number == 1 || lead == nil || lead.Station != f.Station || lead.Total != f.Total:
			first := f
			lead = &first
		}
		answer, _ := sl651.Reply(nil, &f, lead, now.In(beijing), sl651.HangUp)
		return answer
	}
}

// answersGB26875 confirms, or denies a packet whose sum does not fit.
func answersGB26875() func([]byte, time.Time) []byte {
	return func(packet []byte, now time.Time) []byte {
		p, err := gb26875.Parse(packet)
		if err != nil {
			return nil
		}
		answer, _ := gb26875.Reply(nil, &p, now.In(beijing), p.Sum == p.Right)
		return answer
	}
}
