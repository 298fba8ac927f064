package hj212

import (
	"bytes"
	"fmt"

	"github.com/situ-city/situ/internal/decode"
)

const protocol = "hj212"

// envelope is what stands around the data of a frame.
type envelope struct {
	data     []byte
	at       int // offset of data in the payload
	declared int // bytes of data by the length field
	sumText  []byte
	sum      uint16 // the CRC in the frame
	right    uint16 // the CRC it should be
}

// open reads the envelope of the frame b[start:end]. closed tells whether the frame was seen to its end.
func open(b []byte, start, end int, closed bool) (e envelope, err error) {
	cut := func() error { // the same damage, by what has caused it
		if closed {
			return decode.ErrMalformed
		}
		return decode.ErrTruncated
	}
	if end-start > maxFrame {
		return e, fault(start, "", fmt.Errorf("a frame of more than %d bytes: %w", maxFrame, decode.ErrBound))
	}
	body := bytes.TrimRight(b[start+2:end], "\r\n \x00")
	digits := 0
	for digits < len(body) && digits < 5 && body[digits]-'0' <= 9 {
		digits++
	}
	if digits != 3 && digits != 4 {
		return e, fault(start+2, "length", fmt.Errorf("want 4 digits: %w", cut()))
	}
	e.declared = decode.Digits(body[:digits])
	e.at = start + 2 + digits
	body = body[digits:]
	sumAt := len(body) - 4
	if sumAt < 0 || !readHex(body[sumAt:], &e.sum) {
		return e, fault(e.at+max(0, sumAt), "CRC", fmt.Errorf("want 4 hexadecimal digits: %w", cut()))
	}
	e.data, e.sumText = body[:sumAt], body[sumAt:]
	if !bytes.HasSuffix(e.data, []byte("&&")) {
		return e, fault(e.at+sumAt, "CP", fmt.Errorf("want && before the CRC: %w", cut()))
	}
	if len(e.data) > maxData {
		return e, fault(e.at, "", fmt.Errorf("%d bytes of data, at most %d: %w", len(e.data), maxData, decode.ErrBound))
	}
	e.right = checksum(e.data)
	return e, nil
}

func readHex(b []byte, sum *uint16) bool {
	n := uint16(0)
	for _, c := range b {
		n <<= 4
		switch {
		case c-'0' <= 9:
			n |= uint16(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n |= uint16(c|0x20-'a') + 10
		default:
			return false
		}
	}
	*sum = n
	return true
}

func fault(at int, field string, err error) *decode.Error {
	return &decode.Error{Protocol: protocol, Offset: at, Field: field, Err: err}
}

// header is the part of the data before CP. All slices alias the data.
type header struct {
	qn, st, cn, pw, mn, flag, pnum, pno []byte
	cp                                  []byte // between the two &&
	cpAt                                int    // its offset in the data
}

// read fills h. other, if not nil, is given the fields it has no place for.
func (h *header) read(data []byte, other func(name, value []byte)) error {
	for i := 0; i < len(data); {
		rest := data[i:]
		if bytes.HasPrefix(rest, []byte("CP=&&")) {
			if len(rest) < len("CP=&&&&") {
				return fault(i, "CP", fmt.Errorf("want && at its end: %w", decode.ErrMalformed))
			}
			h.cp, h.cpAt = rest[5:len(rest)-2], i+5
			return nil
		}
		field := rest
		if j := bytes.IndexByte(rest, ';'); j >= 0 {
			field = rest[:j]
		}
		i += len(field) + 1
		name, value, ok := bytes.Cut(field, []byte("="))
		if !ok && len(field) > 0 {
			return fault(i-len(field)-1, "", fmt.Errorf("%.40q is no name=value: %w", field, decode.ErrMalformed))
		}
		if place := h.place(name); place != nil {
			*place = value
		} else if other != nil && ok {
			other(name, value)
		}
	}
	return fault(len(data), "CP", fmt.Errorf("there is none: %w", decode.ErrMalformed))
}

func (h *header) place(name []byte) *[]byte {
	switch string(name) {
	case "QN":
		return &h.qn
	case "ST":
		return &h.st
	case "CN":
		return &h.cn
	case "PW":
		return &h.pw
	case "MN":
		return &h.mn
	case "Flag":
		return &h.flag
	case "PNUM":
		return &h.pnum
	case "PNO":
		return &h.pno
	}
	return nil
}
