package mapped

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/expr-lang/expr"

	"github.com/situ-city/situ/internal/decode"
)

// One report of a vendor's form, two values; and one message of ten such reports.
const (
	oneReport = `{"data":[{"sn":"a1","ts":1767225600,"pos":[106.55,29.56],"dust":352,"ok":true,"n":1,"v":23.5}]}`
	payloads  = 10
)

func ten() []byte {
	b := []byte(`{"data":[`)
	for i := range payloads {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"sn":"a1","ts":1767225600,"pos":[106.55,29.56],"dust":352,"ok":true,"n":1,"v":`...)
		b = append(strconv.AppendInt(b, int64(i), 10), '}')
	}
	return append(b, "]}"...)
}

func run(b *testing.B, m *Mapping, payload []byte) {
	b.Helper()
	d := decoder(b, m, decode.Settings{})
	var out []decode.Reading
	var err error
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		if out, err = d.Decode(out[:0], payload); err != nil || len(out) == 0 || out[0].Err != nil {
			b.Fatal(out, err)
		}
		n += len(out)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "readings/s")
}

// The vendor's payload as the package document shows it: seven expressions a report, four of them plain fetches.
func BenchmarkOneReport(b *testing.B)  { run(b, vendor(), []byte(oneReport)) }
func BenchmarkTenReports(b *testing.B) { run(b, vendor(), ten()) }

// Nothing but fetches: no machine runs.
func BenchmarkFetchesOnly(b *testing.B) {
	run(b, &Mapping{Each: "payload.data", Values: []Value{{Property: "dust", Value: "item.dust"}, {Property: "v", Value: "item.v"}}}, []byte(oneReport))
}

// Names and units around package json.
func BenchmarkRelabel(b *testing.B) {
	run(b, &Mapping{Rename: map[string]string{"temp": "air_temperature"}, Units: map[string]string{"temp": "Cel"}}, []byte(`{"t":1767225600000,"temp":21.5,"hum":40}`))
}

// The obvious way: encoding/json into any, expr.Run for each expression.
func BenchmarkOneReportPlainly(b *testing.B) {
	texts := []string{"item.ts * 1000", "item.pos[0]", "item.pos[1]", "item.dust / 10", "item.ok", `"ch" + string(item.n)`, "item.v"}
	env := map[string]any{}
	var compiled []func() (any, error)
	for _, text := range texts {
		p, err := expr.Compile(text)
		if err != nil {
			b.Fatal(err)
		}
		compiled = append(compiled, func() (any, error) { return expr.Run(p, env) })
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		var doc map[string]any
		if err := json.Unmarshal([]byte(oneReport), &doc); err != nil {
			b.Fatal(err)
		}
		for _, item := range doc["data"].([]any) {
			env["item"] = item
			for _, f := range compiled {
				if _, err := f(); err != nil {
					b.Fatal(err)
				}
			}
			n += 2
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "readings/s")
}
