package hj212

import (
	"fmt"
	"testing"
)

func TestAnswer(t *testing.T) {
	for _, c := range []struct{ cn, flag, want string }{
		{"2011", "5", "9014 4"}, {"2011", "7", "9014 4"}, {"2011", "9", "9014 8"}, {"2011", "1", "9014 0"}, {"2081", "5", "9014 4"},
		{"3020", "5", "9014 4"}, {"1001", "9", "9014 8"}, {"1013", "5", "9013 4"}, {"9015", "9", "9013 8"},
		{"2011", "4", ""}, {"2011", "8", ""}, {"2011", "", ""}, {"2011", "x", ""}, {"2011", "-1", ""}, {"9014", "5", ""}, {"9012", "5", ""},
	} {
		f := Frame{QN: "20260101080003125", ST: "22", CN: c.cn, PW: "123456", MN: "SITU00000001", Flag: c.flag}
		b, ok := Answer([]byte("before"), &f)
		if ok != (c.want != "") || string(b[:6]) != "before" {
			t.Errorf("CN %s Flag %s: %q, %t", c.cn, c.flag, b, ok)
			continue
		}
		if !ok {
			continue
		}
		a, err := Parse(b[6:])
		if got := a.CN + " " + a.Flag; err != nil || got != c.want || a.ST != "91" || a.QN != f.QN || a.MN != f.MN || a.PW != f.PW ||
			!a.Checksum.OK || a.Actual != a.Declared || a.Asks() || len(a.Fields) > 0 {
			t.Errorf("CN %s Flag %s: %q, %v; want %s", c.cn, c.flag, b, err, c.want)
		}
	}
}

// What a device answers to a request, as the simulator does.
func TestAcceptAndDone(t *testing.T) {
	f := Frame{QN: "20260101080003125", ST: "32", CN: "1062", PW: "123456", MN: "SITU00000001", Flag: "5"}
	for want, b := range map[string][]byte{"9011 QnRtn 1": Accept(nil, &f, 1), "9012 ExeRtn 100": Done(nil, &f, 100)} {
		a, err := Parse(b)
		if err != nil || len(a.Fields) != 1 || !a.Checksum.OK || a.Kind() != Acknowledgement {
			t.Errorf("%q: %+v, %v", b, a, err)
			continue
		}
		if got := fmt.Sprint(a.CN, " ", a.Fields[0].Name, " ", a.Fields[0].Value); got != want {
			t.Errorf("%q, want %s", b, want)
		}
	}
}

func TestEdition(t *testing.T) {
	for flag, want := range map[string]int{"0": 2005, "1": 2005, "3": 2005, "4": 2017, "7": 2017, "8": 2025, "9": 2025, "12": 0, "": 0, "x": 0, "256": 0} {
		if got := (&Frame{Flag: flag}).Edition(); got != want {
			t.Errorf("Flag %q: %d, want %d", flag, got, want)
		}
	}
}
