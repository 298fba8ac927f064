package hj212

import "strconv"

// The bits of Flag (6.3.3): six of the edition, then whether the data are in packets, then whether an answer is wanted.
const (
	flagAnswer  = 1
	flagPackets = 2
	editionAt   = 2
)

// Edition is the edition of the standard that a frame's Flag names: 2005, 2017 or 2025; 0 if it names none of them.
func (f *Frame) Edition() int {
	n, err := strconv.ParseUint(f.Flag, 10, 8)
	if err != nil {
		return 0
	}
	switch n >> editionAt {
	case 0:
		return 2005
	case 1:
		return 2017
	case 2:
		return 2025
	}
	return 0
}

// Asks reports whether the sender waits for an answer.
func (f *Frame) Asks() bool {
	n, err := strconv.ParseUint(f.Flag, 10, 8)
	return err == nil && n&flagAnswer != 0
}

// Answer appends what the center answers to f, which came from a device and is safe by now: 9014 to data and whatever
// else a device sends of itself, 9013 to a notice (1013, it asks for the time) and a heartbeat. ok is false if f asks for no answer, or
// is an answer itself. The answer bears QN, PW and MN of f and the edition of its Flag.
func Answer(dst []byte, f *Frame) (answer []byte, ok bool) {
	if !f.Asks() || f.Kind() == Acknowledgement {
		return dst, false
	}
	cn := "9014"
	if f.CN == "1013" || f.Kind() == Heartbeat {
		cn = "9013"
	}
	return Append(dst, f.reply(cn)), true
}

// Accept appends what a device answers at once to f, a request of the center: 9011 with QnRtn, 1 for "will do", 2 to 9 and
// 100 for what is wrong with it (table of 6.6.6).
func Accept(dst []byte, f *Frame, qnRtn int) []byte {
	a := f.reply("9011")
	a.Fields = []Field{{"QnRtn", strconv.Itoa(qnRtn)}}
	return Append(dst, a)
}

// Done appends what a device answers when it has done what f, a request of the center, asked for: 9012 with ExeRtn, 1 for
// success, 2 to 6 and 100 for why not.
func Done(dst []byte, f *Frame, exeRtn int) []byte {
	a := f.reply("9012")
	a.Fields = []Field{{"ExeRtn", strconv.Itoa(exeRtn)}}
	return Append(dst, a)
}

// reply is an empty answer to f, which itself wants none.
func (f *Frame) reply(cn string) Frame {
	a := Frame{QN: f.QN, ST: "91", CN: cn, PW: f.PW, MN: f.MN}
	if n, err := strconv.ParseUint(f.Flag, 10, 8); err == nil {
		a.Flag = strconv.FormatUint(n>>editionAt<<editionAt, 10)
	}
	return a
}
