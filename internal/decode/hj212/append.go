package hj212

// Append appends f as a frame of HJ 212-2017: header fields in the standard's order (absent ones left out, PW and
// MN always written), DataTime, the fields of CP, then the values, neighbours of one code and flag in one group. Length
// and CRC are made here; those in f are not looked at. Names and values must not hold the grammar's own signs
// (; , = & # and line ends). Data beyond 9,999 bytes, which the length field cannot say, is refused by every decoder.
func Append(dst []byte, f Frame) []byte {
	begin := len(dst)
	dst = append(dst, "##0000"...)
	dst = appendHeader(dst, &f)
	dst = append(dst, "CP=&&"...)
	body := len(dst)
	if f.DataTime != "" {
		dst = appendField(dst, "DataTime", f.DataTime)
	}
	for _, x := range f.Fields {
		dst = appendField(dst, x.Name, x.Value)
	}
	dst = appendValues(dst, f.Values)
	if len(dst) > body { // the last ';' separates nothing
		dst = dst[:len(dst)-1]
	}
	return seal(append(dst, "&&"...), begin)
}

// seal writes the length of the frame that begins at begin with "##0000", and appends its CRC and line end.
func seal(dst []byte, begin int) []byte {
	data := begin + len("##0000")
	n := len(dst) - data
	for i := data - 1; i > begin+1; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	sum := checksum(dst[data:])
	const digits = "0123456789ABCDEF"
	dst = append(dst, digits[sum>>12], digits[sum>>8&15], digits[sum>>4&15], digits[sum&15])
	return append(dst, '\r', '\n')
}

func appendHeader(dst []byte, f *Frame) []byte {
	for _, x := range [...]struct {
		name, value string
		always      bool
	}{
		{"QN", f.QN, false}, {"ST", f.ST, false}, {"CN", f.CN, false}, {"PW", f.PW, true}, {"MN", f.MN, true},
		{"Flag", f.Flag, false}, {"PNUM", f.PNUM, false}, {"PNO", f.PNO, false},
	} {
		if x.always || x.value != "" {
			dst = appendField(dst, x.name, x.value)
		}
	}
	for _, x := range f.Extra {
		dst = appendField(dst, x.Name, x.Value)
	}
	return dst
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), '=')
	return append(append(dst, value...), ';')
}

func appendValues(dst []byte, values []Value) []byte {
	for i, v := range values {
		dst = append(dst, v.Code...)
		if v.Param != "" {
			dst = append(append(dst, '-'), v.Param...)
		}
		dst = append(append(dst, '='), v.Text...)
		if i+1 < len(values) && values[i+1].Code == v.Code && values[i+1].Flag == v.Flag {
			dst = append(dst, ',')
			continue
		}
		if v.Flag != "" {
			dst = append(append(dst, ','), v.Code...)
			dst = append(append(dst, "-Flag="...), v.Flag...)
		}
		dst = append(dst, ';')
	}
	return dst
}
