package sensor

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/situ-city/situ/pkg/geo"
)

func TestParseThingID(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, s := range []string{"cq-eco/station-7", "a/b", "A.b_c-9/0", "渝中/水位站", long + "/" + long} {
		id, err := ParseThingID(s)
		if err != nil || string(id) != s {
			t.Errorf("%q: %q, %v", s, id, err)
		}
		owner, name, _ := strings.Cut(s, "/")
		if id.Owner() != owner || id.Name() != name {
			t.Errorf("%q: owner %q, name %q", s, id.Owner(), id.Name())
		}
	}
	for _, s := range []string{
		"", "/", "a", "a/", "/b", "a/b/c", "a b/c", "a/+", "a/#", "$a/b", "a/b\n", "a/b\x00", long + "x/b", "a/" + long + "x",
		"a/\xff", "a/\ufffd", "a/\"",
	} {
		if id, err := ParseThingID(s); !errors.Is(err, ErrThingID) {
			t.Errorf("%q: %q, %v", s, id, err)
		}
	}
}

// The key is written in logs and tables: it is a plain xxHash64 of the id, computed here by another implementation.
func TestThingKey(t *testing.T) {
	if got := ThingID("cq-eco/station-7").Key(); got != 0x78ec82630bbf4641 {
		t.Errorf("%x", uint64(got))
	}
	if n := testing.AllocsPerRun(100, func() { ThingID("cq-eco/station-7").Key() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The words of a class, a grade, a statistic and a lane are what people and files write.
func TestWords(t *testing.T) {
	for want, got := range map[string]interface{ String() string }{
		"unknown": ClassUnknown, "government": Government, "social": Social, "enterprise": Enterprise,
		"restricted": Restricted, "conditional": Conditional, "open": Open,
		"instant": Instant, "avg": Average, "min": Minimum, "max": Maximum, "sum": Sum, "count": Count,
		"zs-instant": ConvertedInstant, "zs-avg": ConvertedAverage, "zs-min": ConvertedMinimum, "zs-max": ConvertedMaximum,
		"live": Live, "backfill": Backfill, "?": OwnerClass(200),
	} {
		if got.String() != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
	if c, err := ParseOwnerClass(""); c != ClassUnknown || err != nil {
		t.Error("no class is not unknown")
	}
	if g, err := ParseAccessGrade(""); g != Restricted || err != nil {
		t.Error("no grade is not the strictest")
	}
	if s, err := ParseStatistic(""); s != Instant || err != nil {
		t.Error("no statistic is not the instant")
	}
	for text, err := range map[string]error{
		"class": second(ParseOwnerClass("Government")), "grade": second(ParseAccessGrade("public")), "statistic": second(ParseStatistic("mean")),
	} {
		if !errors.Is(err, map[string]error{"class": ErrOwnerClass, "grade": ErrAccessGrade, "statistic": ErrStatistic}[text]) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestStatisticRoundTrip(t *testing.T) {
	for s := Instant; s <= ConvertedMaximum; s++ {
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Statistic
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%s became %s, %v", s, back, err)
		}
	}
}

func TestThingJSON(t *testing.T) {
	in := Thing{
		ID: "cq-eco/station-7", Name: "测站七", Class: Government, Grade: Conditional, Placed: true,
		Location: geo.LonLat{Lon: 106.55, Lat: 29.56}, CRS: geo.GCJ02, Original: geo.LonLat{Lon: 106.554, Lat: 29.557},
		Cell: 0x8c2a1072b59b1ff, Division: 500103, Scenes: []string{"air"}, Serial: "MN1", Version: 4,
	}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"owner_class":"government"`, `"grade":"conditional"`, `"crs":"GCJ02"`, `"cell":"8c2a1072b59b1ff"`, `"division":"500103"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %s", b, want)
		}
	}
	var out Thing
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(out)
	if err != nil || string(again) != string(b) {
		t.Errorf("%s\n%s, %v", b, again, err)
	}
}

func TestQualityWords(t *testing.T) {
	for q, want := range map[Quality]string{
		0: "good", OutOfRange: "out_of_range", Estimated: "estimated", SourceFault | SourceOver: "source_fault|source_over_range",
		ChecksumWrong | LengthWrong | NoTime: "checksum_wrong|length_wrong|no_time",
	} {
		if got := q.String(); got != want {
			t.Errorf("%d: %s, want %s", q, got, want)
		}
	}
	for i, n := range qualityNames {
		if got := Quality(1 << i).String(); got != n {
			t.Errorf("bit %d is %s, want %s", i, got, n)
		}
	}
}

func TestObservationPosition(t *testing.T) {
	o := Observation{Lon: 1065512340, Lat: 295630100}
	if p, ok := o.Position(); !ok || p != (geo.LonLat{Lon: 106.551234, Lat: 29.56301}) {
		t.Errorf("%v %t", p, ok)
	}
	o.Lon, o.Lat = NoPosition, NoPosition
	if p, ok := o.Position(); ok {
		t.Errorf("%v", p)
	}
	o.Lon, o.Lat = 0, 0
	if _, ok := o.Position(); !ok {
		t.Error("0, 0 is a place in the Gulf of Guinea")
	}
}
