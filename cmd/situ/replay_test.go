package main

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
)

// A week of 207 loop detectors, played over MQTT as fast as it is taken: every row arrives, once, and SQL gives the
// counts and means that the data set's own description gives.
func TestReplay(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: -short (it plays 417,312 rows)")
	}
	needEngine(t)
	const file = "replay/la-loops-2012-03-01_07.csv.gz"
	path := apptest.Samples(t, file)
	var all map[string]json.RawMessage
	b, err := os.ReadFile(apptest.Samples(t, "EXPECTED.json"))
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	var want struct {
		Rows, Stations, Steps int
		Mean, Min, Max        float64
		MeanPerDay            map[string]float64 `json:"mean_per_day"`
	}
	if err == nil {
		err = json.Unmarshal(all[file], &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, apptest.Dir(t), "--auto-register")
	l.WaitReady(t)
	started := time.Now()
	cmd := exec.Command(program(t), "replay", path, "--time", "time_local", "--id", "sensor_id", "--zone=-08:00",
		"--value", "speed_mph=traffic_speed", "--unit", "traffic_speed=[mi_i]/h", "--owner", "la",
		"--places", apptest.Samples(t, "replay/la-loops-stations.csv"), "--broker", "tcp://"+l.MQTT, "--url", l.URL, "--key", apptest.Key)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("situ replay: %v\n%s", err, out)
	}
	if said := fmt.Sprintf("%d rows, %d sent, %d acknowledged", want.Rows, want.Rows, want.Rows); !strings.Contains(string(out), said) {
		t.Errorf("situ replay does not say %q:\n%s", said, tail(string(out), 5))
	}
	t.Logf("played and acknowledged in %s", time.Since(started).Round(time.Second))
	apptest.Until(t, 2*time.Minute, func() string {
		if n := l.Metric(t, "situ_ingester_observations_total"); n < float64(want.Rows) {
			return fmt.Sprintf("%v of %d rows are stored", n, want.Rows)
		}
		return ""
	})
	t.Logf("in SQL after %s", time.Since(started).Round(time.Second))

	const mile = 1.609344 // km
	total := l.SQL(t, `SELECT count() AS n, uniqExact(datastream, phenomenon_time) AS instants, uniqExact(thing) AS things, avg(result) AS mean, min(result) AS min,
		max(result) AS max, any(unit) AS unit, (SELECT count() FROM deadletters) AS letters FROM history WHERE property = 'traffic_speed'`)[0]
	for column, n := range map[string]int{"n": want.Rows, "instants": want.Rows, "things": want.Stations, "letters": 0} {
		if total.Int(t, column) != int64(n) {
			t.Errorf("%s: %v, want %d", column, total[column], n)
		}
	}
	for column, x := range map[string]float64{"mean": want.Mean, "min": want.Min, "max": want.Max} {
		if got := total.Float(t, column) / mile; math.Abs(got-x) > 1e-9 {
			t.Errorf("%s: %v mile/h, want %v", column, got, x)
		}
	}
	if total.String("unit") != "km/h" {
		t.Errorf("unit %v", total["unit"])
	}
	days := l.SQL(t, `SELECT toString(toDate(phenomenon_time - INTERVAL 8 HOUR)) AS day, count() AS n, avg(result) AS mean
		FROM history WHERE owner = 'la' GROUP BY day ORDER BY day`)
	if len(days) != len(want.MeanPerDay) {
		t.Errorf("%d days, want %d", len(days), len(want.MeanPerDay))
	}
	for _, d := range days {
		mean, ok := want.MeanPerDay[d.String("day")]
		if got := d.Float(t, "mean") / mile; !ok || math.Abs(got-mean) > 1e-6 || d.Int(t, "n") != int64(want.Rows/len(days)) {
			t.Errorf("%v: %v rows, mean %v, want %v", d["day"], d["n"], got, mean)
		}
	}
	compareStations(t, l, path, mile)
}

// compareStations: each detector's rows, added up in SQL, are those of the file.
func compareStations(t *testing.T, l *life, path string, mile float64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows := csv.NewReader(z)
	rows.ReuseRecord = true
	sums, weighed := map[string]float64{}, map[string]float64{}
	for n := 0; ; n++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			continue // time_local, sensor_id, speed_mph
		}
		at, err := time.Parse("2006-01-02 15:04:05-07:00", row[0]+"-08:00")
		x, err2 := strconv.ParseFloat(row[2], 64)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		sums["la/"+row[1]] += x * mile
		weighed["la/"+row[1]] += x * mile * float64(at.Unix()%86400/300) // a value at another time gives another sum
	}
	got := l.SQL(t, `SELECT thing, sum(result) AS total, sum(result * intDiv(toUnixTimestamp(phenomenon_time) % 86400, 300)) AS weighed,
		countIf(lon IS NULL) AS nowhere FROM history WHERE owner = 'la' GROUP BY thing`)
	for _, r := range got {
		thing := r.String("thing")
		if d := math.Abs(r.Float(t, "total")/sums[thing] - 1); !(d < 1e-9) {
			t.Errorf("%s: sum %v, the file has %v", thing, r["total"], sums[thing])
		}
		if d := math.Abs(r.Float(t, "weighed")/weighed[thing] - 1); !(d < 1e-9) {
			t.Errorf("%s: sum by time %v, the file has %v", thing, r["weighed"], weighed[thing])
		}
		if r.Int(t, "nowhere") != 0 {
			t.Errorf("%s: %v rows without place", thing, r["nowhere"])
		}
	}
	if len(got) != len(sums) {
		t.Errorf("%d detectors, the file has %d", len(got), len(sums))
	}
}
