package city

import (
	"strconv"
	"time"

	"github.com/situ-city/situ/internal/decode/hj212"
)

var beijing = time.FixedZone("Asia/Shanghai", 8*3600)

// frame is an HJ 212-2017 frame of real-time data (CN 2011) in the units of the standard, as a station sends it.
func (c *City) frame(dst []byte, t *Thing, s state, said, at time.Time, step uint64) []byte {
	f := hj212.Frame{
		QN: said.In(beijing).Format("20060102150405") + pad3(said.Nanosecond()/1e6), ST: "22", CN: "2011", PW: "123456",
		MN: t.Serial, Flag: "4", DataTime: said.In(beijing).Format("20060102150405"),
		Values: make([]hj212.Value, len(t.Values)),
	}
	for i := range t.Values {
		v := &t.Values[i]
		f.Values[i] = hj212.Value{Code: v.Key, Param: "Rtd", Flag: "N",
			Text: strconv.FormatFloat(c.result(t, v, s, at, step), 'f', v.Decimals, 64)}
	}
	begin := len(dst)
	dst = hj212.Append(dst, f)
	if t.Fault == BadCRC && step%3 == 0 {
		dst[begin+10] ^= 1 // a bit turned on the line
	}
	return dst
}

func pad3(n int) string {
	s := strconv.Itoa(1000 + n)
	return s[1:]
}
