package registry

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const registers = "../../testdata/register/"

func parseFile(t testing.TB, name string) []Row {
	t.Helper()
	f, err := os.Open(registers + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := ParseCSV(f)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func parseText(t testing.TB, text string) []Row {
	t.Helper()
	rows, err := ParseCSV(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func registerAll(t testing.TB, r *Registry, rows []Row) []Verdict {
	t.Helper()
	verdicts, err := r.RegisterRows(t.Context(), rows)
	if err != nil || len(verdicts) != len(rows) {
		t.Fatalf("%d verdicts on %d rows, %v", len(verdicts), len(rows), err)
	}
	return verdicts
}

// Every file is answered as its golden file says, and answered with "unchanged" the second time.
func testRegisterFiles(t *testing.T, db fresh) {
	for _, name := range []string{"stations", "stations.zh", "datastreams", "bad"} {
		r := db.openFull(t)
		rows := parseFile(t, name+".csv")
		verdicts := registerAll(t, r, rows)
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		for _, v := range verdicts {
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
		}
		golden := registers + name + ".verdicts.json"
		if *update {
			if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s: %v; got\n%s", name, err, out.String())
		}
		version := r.Snapshot().Version()
		for i, v := range registerAll(t, r, rows) {
			want := verdicts[i].Status
			if want != Failed {
				want = Unchanged
			}
			if v.Status != want {
				t.Errorf("%s again, line %d: %s %s, want %s", name, v.Row, v.Status, v.Error, want)
			}
		}
		if v := r.Snapshot().Version(); v != version {
			t.Errorf("%s again: version %d became %d", name, version, v)
		}
	}
}

func testRegisterMeaning(t *testing.T, db fresh) {
	r := db.openFull(t)
	registerAll(t, r, parseFile(t, "stations.zh.csv"))
	s := r.Snapshot()
	a, ok := s.Thing("环保局/空气站1")
	if !ok || a.Name != "解放碑空气站" || a.Class != sensor.Government || a.Grade != sensor.Open || a.CRS != geo.GCJ02 ||
		a.Location != geo.ToWGS84(a.Original, geo.GCJ02) || a.Division != 500103 || !slices.Equal(a.Scenes, []string{"空气", "交通"}) {
		t.Errorf("%+v", a)
	}
	if id, ok := s.Serial("环保局", "88888880000001"); !ok || id != a.ID {
		t.Errorf("by MN: %q %v", id, ok)
	}
	for _, want := range []sensor.Datastream{
		{Property: "o3"}, {Property: "pm10", Statistic: sensor.Average, SourceKey: "a34002-Avg", Unit: "mg/m3"}, {Property: "pm2_5"},
	} {
		d, ok := s.Datastream(sensor.NewDatastreamID(a.ID, want.Property, want.Statistic, want.SourceKey))
		if !ok || d.Unit != want.Unit || d.Interval != time.Minute || d.Auto {
			t.Errorf("%s: %+v %v", want.Property, d, ok)
		}
	}
	if w, _ := s.Thing("环保局/水站2"); w.Original != (geo.LonLat{Lon: 106.54, Lat: 29.57}) || w.Division == 0 {
		t.Errorf("%+v", w)
	}
	if k, _ := s.Thing("餐饮协会/厨房3"); k.Placed || k.Division != 500112007 {
		t.Errorf("%+v", k)
	}
}

// Cells that are empty keep what is registered, "-" takes it away.
func testRegisterMerges(t *testing.T, db fresh) {
	r := db.openFull(t)
	steps := []struct {
		text   string
		status Status
		check  func(x *sensor.Thing) bool
	}{
		{"id,title,lon,lat,crs,serial,address\na/b,one,106.577,29.557,GCJ02,MN1,here\n", Created, func(x *sensor.Thing) bool { return x.Serial == "MN1" }},
		{"id,grade\na/b,open\n", Updated, func(x *sensor.Thing) bool { return x.Name == "one" && x.Placed && x.Grade == sensor.Open }},
		{"id,lon,lat\na/b,106.574,29.606\n", Updated, func(x *sensor.Thing) bool { return x.CRS == geo.GCJ02 && x.Division == 500105 }},
		{"id,crs\na/b,WGS84\n", Updated, func(x *sensor.Thing) bool { return x.Location == x.Original && x.Location.Lon == 106.574 }},
		{"id,serial,address\na/b,-,-\n", Updated, func(x *sensor.Thing) bool { return x.Serial == "" && x.Address == "" }},
		{"id,lon,lat\na/b,-,-\n", Updated, func(x *sensor.Thing) bool { return !x.Placed && x.Name == "one" }},
		{"", "", nil}, // retired
		{"id\na/b\n", Updated, func(x *sensor.Thing) bool { return !x.Retired }},
		{"id,lon,lat\na/b,,\n", Unchanged, func(x *sensor.Thing) bool { return !x.Placed }},
	}
	for i, step := range steps {
		if step.check == nil {
			x, _ := r.Snapshot().Thing("a/b")
			retired := *x
			retired.Retired = true
			if _, err := r.PutThing(t.Context(), &retired); err != nil {
				t.Fatal(err)
			}
			continue
		}
		v := registerAll(t, r, parseText(t, step.text))[0]
		x, _ := r.Snapshot().Thing("a/b")
		if v.Status != step.status || !step.check(x) {
			t.Errorf("step %d: %+v, %+v", i, v, x)
		}
	}
}

func testRegisterMergesDatastreams(t *testing.T, db fresh) {
	r := db.openFull(t)
	id := sensor.NewDatastreamID("a/b", "pm10", sensor.Instant, "PM10")
	for i, step := range []struct {
		text          string
		unit          string
		interval, max float64
		status        Status
	}{
		{"id,property,source_key,unit,interval,max\na/b,pm10,PM10,mg/m3,60,900\n", "mg/m3", 60, 900, Created},
		{"id,property,source_key\na/b,pm10,PM10\n", "mg/m3", 60, 900, Unchanged},
		{"id,property,source_key,interval\na/b,pm10,PM10,30\n", "mg/m3", 30, 900, Updated},
		{"id,property,source_key,max,unit,interval\na/b,pm10,PM10,800,-,\n", "", 30, 800, Updated},
		{"id,property,source_key,max,unit,interval\na/b,pm10,PM10,,,-\n", "", 0, 800, Updated},
	} {
		v := registerAll(t, r, parseText(t, step.text))[0]
		d, ok := r.Snapshot().Datastream(id)
		if !ok || v.Status != step.status || d.Unit != step.unit || d.Interval.Seconds() != step.interval || d.Max == nil || *d.Max != step.max || d.Min != nil {
			t.Errorf("step %d: %+v, %+v", i, v, d)
		}
	}
}

// An owner who registers what its readings had declared makes it its own.
func testRegisterAdoptsAuto(t *testing.T, db fresh) {
	r := db.openFull(t)
	if _, err := r.Declare(t.Context(), []sensor.Declaration{{Datastream: stream("a/b", "pm10", "PM10")}}); err != nil {
		t.Fatal(err)
	}
	v := registerAll(t, r, parseText(t, "id,properties,interval\na/b,pm10=mg/m3,30s\n"))[0]
	x, _ := r.Snapshot().Thing("a/b")
	d, _ := r.Snapshot().Datastream(stream("a/b", "pm10", "PM10").ID)
	if v.Status != Updated || x.Auto || d.Unit != "mg/m3" || d.Interval != 30*time.Second {
		t.Errorf("%+v, %+v, %+v", v, x, d)
	}
}

// More rows than one transaction takes, with rows of one Thing in different transactions.
func testRegisterInPieces(t *testing.T, db fresh) {
	r := db.openFull(t)
	var text strings.Builder
	text.WriteString("id,title,property\n")
	for range 2 {
		for i := range registerPiece - 10 {
			text.WriteString("a/" + strings.Repeat("x", i%50) + string(rune('一'+i)) + ",t,pm10\n")
		}
	}
	rows := parseText(t, text.String())
	for i, v := range registerAll(t, r, rows) {
		if v.Status != Created || v.Row != i+2 {
			t.Fatalf("row %d: %+v", i, v)
		}
	}
	if s := r.Snapshot(); s.Things() != registerPiece-10 || s.Datastreams() != registerPiece-10 {
		t.Errorf("%d things, %d datastreams", s.Things(), s.Datastreams())
	}
}

func testRegisterDiskFails(t *testing.T, db fresh) {
	r := db.openFull(t)
	rows := parseFile(t, "stations.csv")
	if err := r.write.Close(); err != nil {
		t.Fatal(err)
	}
	verdicts, err := r.RegisterRows(t.Context(), rows)
	if err == nil || len(verdicts) != len(rows) {
		t.Fatalf("%d verdicts, %v", len(verdicts), err)
	}
	for _, v := range verdicts {
		if v.Status != Failed || !strings.HasPrefix(v.Error, "not written") {
			t.Errorf("%+v", v)
		}
	}
	if s := r.Snapshot(); s.Version() != 0 {
		t.Errorf("version %d", s.Version())
	}
}

// One text in every dress it is met in.
func TestParseCSVDresses(t *testing.T) {
	plain := "编号,名称,经度,纬度\n市/站1,\"解放碑, 渝中\",106.5,29.5\n市/站2,朝天门,,\n"
	encode := func(enc interface {
		Bytes([]byte) ([]byte, error)
	}, s string) string {
		b, err := enc.Bytes([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	crlf := strings.ReplaceAll(plain, "\n", "\r\n")
	for name, text := range map[string]string{
		"plain": plain, "crlf": crlf, "bom": "\ufeff" + plain,
		"gb18030":   encode(simplifiedchinese.GB18030.NewEncoder(), crlf),
		"utf16le":   encode(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder(), plain),
		"utf16be":   encode(unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder(), plain),
		"tabs":      strings.NewReplacer(", ", ", ", ",", "\t").Replace(plain),
		"semicolon": strings.NewReplacer(", ", ", ", ",", ";").Replace(plain),
		"blanks":    strings.ReplaceAll(plain, "市/站1", "\u3000市/站1 ") + "\n,,,\n  \n",
		"marks":     strings.NewReplacer("编号", "* 编号", "经度", "经度（°）", "纬度", "纬度(deg)").Replace(plain),
	} {
		rows, err := ParseCSV(strings.NewReader(text))
		if err != nil || len(rows) != 2 {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
			continue
		}
		a, b := rows[0], rows[1]
		if a.Line != 2 || a.Err != nil || a.Cell(ColID) != "市/站1" || a.Cell(ColTitle) != "解放碑, 渝中" || a.Cell(ColLon) != "106.5" ||
			b.Line != 3 || b.Cell(ColID) != "市/站2" || b.Cell(ColLat) != "" {
			t.Errorf("%s: %+v", name, rows)
		}
		if note := strings.Join(a.Notes, ""); strings.Contains(name, "gb") != strings.Contains(note, "GB18030") || strings.Contains(name, "utf16") != strings.Contains(note, "UTF-16") {
			t.Errorf("%s: notes %q", name, note)
		}
	}
}

func TestParseCSVRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":     {"", "the file is empty"},
		"blank":     {"\ufeff \r\n\n", "the file is empty"},
		"no header": {"city/a,106.5,29.5\n", "first line must name the columns"},
		"no id":     {"title,lon,lat\nx,1,2\n", "with id (owner/name), or owner and name"},
		"twice":     {"id,lon,经度\n", `columns "lon" and "经度" both mean lon`},
		"ambiguous": {"编号,单位\n", "owner (权属单位) or unit (计量单位)"},
		"workbook":  {"PK\x03\x04....", "save it as CSV"},
		"binary":    {"\x00\x01\xff\xfe\x80\x81", "first line must name the columns"},
		"quote":     {"id,\"title\nx", "header: "},
	} {
		rows, err := ParseCSV(strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || rows != nil {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if rows, err := ParseCSV(strings.NewReader("id,lon,lat\n")); err != nil || len(rows) != 0 {
		t.Errorf("a header alone: %v %v", rows, err)
	}
}

// A bad byte or a wrong quote costs its own row only.
func TestParseCSVBadRows(t *testing.T) {
	rows := parseText(t, "id,title\n市/一,站\n市/二,a\xffb\n市/三,\"x\"y\n市/四,好,多\n市/五,好\n")
	var bad []int
	for _, r := range rows {
		if r.Err != nil {
			bad = append(bad, r.Line)
		}
	}
	if len(rows) != 5 || !slices.Equal(bad, []int{3, 4, 5}) {
		t.Errorf("bad lines %v of %+v", bad, rows)
	}
	gb, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte("编号,名称\n市/一,解放碑空气质量监测站\n市/二,朝天门空气质量监测站\n市/三,"))
	if err != nil {
		t.Fatal(err)
	}
	rows = parseText(t, string(gb)+"\xff\n")
	if len(rows) != 3 || rows[0].Err != nil || rows[1].Cell(ColTitle) != "朝天门空气质量监测站" || rows[2].Err == nil {
		t.Errorf("%+v", rows)
	}
}

func FuzzRegister(f *testing.F) {
	for _, name := range []string{"stations.csv", "stations.zh.csv", "datastreams.csv", "bad.csv"} {
		text, err := os.ReadFile(registers + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("id,model,properties\na/b,lht65,\na/c,lht65;no such,temperature\n"))
	f.Add([]byte("id;lon;lat\r\na/b;106°33′5.2″;\"29\"\r\n"))
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		f.Fatal(err)
	}
	divisions, err := geo.LoadDivisions()
	if err != nil {
		f.Fatal(err)
	}
	models, err := sensor.LoadModels(catalogue)
	if err != nil {
		f.Fatal(err)
	}
	rd := reader{catalogue, divisions, models}
	// Whatever the bytes: no panic, no more rows than lines, lines in order, and a row that is read names a valid Thing,
	// a position on the Earth, and Datastreams that pass their own check.
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, err := ParseCSV(bytes.NewReader(text))
		if err != nil {
			return
		}
		last := 1
		for i := range rows {
			if rows[i].Line <= last && rows[i].Line != 0 {
				t.Fatalf("line %d after %d", rows[i].Line, last)
			}
			last = rows[i].Line
			st, err := rd.read(&rows[i])
			if err != nil {
				continue
			}
			next, err := st.merge(nil)
			if err != nil {
				continue
			}
			if err := CheckThing(next); err != nil || next.Placed && !next.Original.Valid() {
				t.Fatalf("line %d: %+v, %v", rows[i].Line, next, err)
			}
			for j := range st.streams {
				if err := checkDeclared(&st.streams[j], catalogue); err != nil || st.streams[j].ID == 0 {
					t.Fatalf("line %d: %+v, %v", rows[i].Line, st.streams[j], err)
				}
			}
		}
	})
}

// Limits of one instrument are declared, kept where a row is silent, taken away by a hyphen, and refused where they are none.
func TestRegisterLimits(t *testing.T) {
	r := openFull(t)
	id := sensor.NewDatastreamID("a/b", "temperature", sensor.Instant, "")
	for _, step := range []struct {
		text        string
		status      Status
		rate, still float64 // -1: not declared
	}{
		{"id,property,rate,still\na/b,temperature,0.2,6h\n", Created, 0.2, 21600},
		{"id,property,interval\na/b,temperature,60\n", Updated, 0.2, 21600},
		{"id,property,rate,still\na/b,temperature,0,0\n", Updated, 0, 0},
		{"编号,属性,变化率,不变时限\na/b,temperature,-,12小时\n", Updated, -1, 43200},
		{"id,property,rate,still\na/b,temperature,,-\n", Updated, -1, -1},
	} {
		v := registerAll(t, r, parseText(t, step.text))
		d, _ := r.Snapshot().Datastream(id)
		told := func(p *float64) float64 {
			if p == nil {
				return -1
			}
			return *p
		}
		if v[0].Status != step.status || told(d.Rate) != step.rate || told(d.StillS) != step.still {
			t.Errorf("%q: %+v, rate %v, still %v", step.text, v[0], told(d.Rate), told(d.StillS))
		}
	}
	for _, text := range []string{"id,property,rate\na/b,temperature,-1\n", "id,property,still\na/b,temperature,soon\n", "id,rate\na/b,1\n", "id,properties,rate\na/b,temperature,1\n"} {
		if v := registerAll(t, r, parseText(t, text)); v[0].Status != Failed {
			t.Errorf("%q: %+v", text, v[0])
		}
	}
}
