package hj212

import (
	"bytes"
	"strconv"
)

// join makes one report of its packets: one frame with the header of the first, without PNUM and PNO, and the data of
// all; or several of them, each with the DataTime, if the data are longer than a frame may hold. ok is false if
// that cannot be done.
func join(parts [][]byte) (payload []byte, ok bool) {
	var cp, head []byte
	for i, p := range parts {
		start, end, closed, found := next(p, 0)
		if !found {
			return nil, false
		}
		e, err := open(p, start, end, closed)
		if err != nil {
			return nil, false
		}
		var h header
		if err := h.read(e.data, nil); err != nil {
			return nil, false
		}
		if i == 0 {
			head = headOf(e.data[:h.cpAt-len("CP=&&")])
		}
		cp = appendPart(cp, h.cp)
	}
	return inFrames(head, cp)
}

// headOf copies a header without the fields that speak of packets.
func headOf(b []byte) (head []byte) {
	for _, field := range bytes.Split(b, []byte(";")) {
		name, value, _ := bytes.Cut(field, []byte("="))
		switch string(name) {
		case "", "PNUM", "PNO":
			continue
		case "Flag":
			if n, err := strconv.ParseUint(string(value), 10, 8); err == nil {
				head = append(head, "Flag="...)
				head = append(strconv.AppendUint(head, n&^flagPackets, 10), ';')
				continue
			}
		}
		head = append(append(head, field...), ';')
	}
	return head
}

// appendPart joins the data of two packets. Most devices cut between two items and leave out the separator, some cut
// anywhere: a separator is put between two whole items only.
func appendPart(cp, part []byte) []byte {
	if len(cp) > 0 && len(part) > 0 && !separator(cp[len(cp)-1]) && !separator(part[0]) {
		last := cp[bytes.LastIndexAny(cp, ";,")+1:]
		first := part
		if i := bytes.IndexAny(part, ";,"); i >= 0 {
			first = part[:i]
		}
		if entire(last) && entire(first) {
			cp = append(cp, ';')
		}
	}
	return append(cp, part...)
}

func separator(c byte) bool { return c == ';' || c == ',' }

// entire: name=value, neither of them empty.
func entire(item []byte) bool {
	i := bytes.IndexByte(item, '=')
	return i > 0 && i < len(item)-1
}

// inFrames writes head and cp as one frame, or as several that are cut between groups.
func inFrames(head, cp []byte) (payload []byte, ok bool) {
	room := maxData - len(head) - len("CP=&&&&")
	when := dataTime(cp)
	for first := true; first || len(cp) > 0; first = false {
		group, again := cp, []byte(nil)
		if !first && !bytes.HasPrefix(cp, []byte("DataTime=")) {
			again = when
		}
		if most := room - len(again); len(group) > most {
			i := -1
			if most > 0 {
				i = bytes.LastIndexByte(group[:most], ';')
			}
			if i <= 0 {
				return nil, false
			}
			group = group[:i]
		}
		begin := len(payload)
		payload = append(append(payload, "##0000"...), head...)
		payload = append(append(append(payload, "CP=&&"...), again...), group...)
		payload = seal(append(payload, "&&"...), begin)
		cp = bytes.TrimLeft(cp[len(group):], ";")
	}
	return payload, true
}

// dataTime gives the first DataTime of cp with a ';' behind it, nothing if there is none.
func dataTime(cp []byte) []byte {
	i := bytes.Index(cp, []byte("DataTime="))
	if i < 0 {
		return nil
	}
	field := cp[i:]
	if j := bytes.IndexAny(field, ";,"); j >= 0 {
		field = field[:j]
	}
	return append(bytes.Clone(field), ';')
}
