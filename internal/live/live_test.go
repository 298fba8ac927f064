package live

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// town is a live state with Things in it.
type town struct {
	*livestate.State
	*Handler
	mu    sync.Mutex // guards meta
	meta  map[sensor.DatastreamID]livestate.Info
	batch sensor.Batch
	seq   uint64
}

func (tn *town) Meta(d sensor.DatastreamID) (livestate.Info, bool) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	i, ok := tn.meta[d]
	return i, ok
}

func newTown(tb testing.TB, c Config) *town {
	tb.Helper()
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		tb.Fatal(err)
	}
	tn := &town{meta: map[sensor.DatastreamID]livestate.Info{}}
	tn.State = livestate.New(tn, catalogue, time.Now())
	c.Source, c.Catalogue = tn.State, catalogue
	c.Scope = func(*http.Request) sensor.Scope { return sensor.ScopeOpen }
	tn.Handler = NewHandler(c)
	return tn
}

// report has a Thing say pm2_5 now.
func (tn *town) report(name string, p geo.LonLat, v float64) {
	tn.batch.Reset()
	tn.add(name, p, v)
	tn.Apply(&tn.batch, time.Now())
}

func (tn *town) add(name string, p geo.LonLat, v float64) {
	id := sensor.ThingID("bureau/" + name)
	ds := sensor.NewDatastreamID(id, "pm2_5", sensor.Instant, "pm2_5")
	tn.mu.Lock()
	tn.meta[ds] = livestate.Info{Thing: id, Property: 1, Class: sensor.Government, Grade: sensor.Open}
	tn.mu.Unlock()
	tn.seq++
	lon, lat := p.E7()
	ms := time.Now().UnixMilli()
	tn.batch.AppendRow(tn.batch.ProducerIndex(sensor.Producer{Gateway: "g", Epoch: 1}), tn.seq, 0, ms, &sensor.Observation{
		Datastream: ds, Thing: id.Key(), Property: 1, PhenomenonTime: ms, ResultTime: ms, Result: v, Lon: lon, Lat: lat})
}

// event is one event as a browser would see it.
type event struct {
	Name, ID, Data string
	At             time.Time
}

// cells is the data of an event of cells.
type cells struct {
	Set        string
	Resolution int
	Version    uint64
	Full       bool
	Cells      [][]any
}

func (e event) cells(tb testing.TB) cells {
	tb.Helper()
	var c cells
	if err := json.Unmarshal([]byte(e.Data), &c); err != nil || e.Name != "cells" || e.ID != fmt.Sprint(c.Version) {
		tb.Fatalf("%+v: %v", e, err)
	}
	return c
}

// page is a ResponseWriter that keeps the events, and can refuse to take more.
type page struct {
	mu     sync.Mutex
	head   http.Header
	status int
	text   bytes.Buffer
	stuck  chan struct{} // not nil: Write waits for it
	events []event
	cancel context.CancelFunc
	done   chan struct{}
}

func (p *page) Header() http.Header { return p.head }
func (p *page) WriteHeader(s int)   { p.status = s }
func (p *page) Flush()              {}
func (p *page) Write(b []byte) (int, error) {
	if p.stuck != nil {
		<-p.stuck
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(b)
	for _, block := range strings.Split(strings.TrimSuffix(string(b), "\n\n"), "\n\n") {
		var e event
		for _, line := range strings.Split(block, "\n") {
			field, value, _ := strings.Cut(line, ": ")
			switch field {
			case "event":
				e.Name = value
			case "id":
				e.ID = value
			case "data":
				e.Data = value
			}
		}
		if e.Name != "" {
			e.At = time.Now()
			p.events = append(p.events, e)
		}
	}
	return len(b), nil
}

// named gives the events of a name so far.
func (p *page) named(name string) []event {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []event
	for _, e := range p.events {
		if e.Name == name {
			out = append(out, e)
		}
	}
	return out
}

// open opens a page inside a synctest bubble; close ends it.
func (tn *town) open(query, lastEventID string, stuck chan struct{}) *page {
	ctx, cancel := context.WithCancel(context.Background())
	r := httptest.NewRequest(http.MethodGet, "/live?"+query, nil).WithContext(ctx)
	r.Header.Set("Last-Event-ID", lastEventID)
	p := &page{head: http.Header{}, cancel: cancel, done: make(chan struct{}), stuck: stuck}
	go func() {
		defer close(p.done)
		tn.Handler.ServeHTTP(p, r)
	}()
	return p
}

func (p *page) close() { p.cancel(); <-p.done }

var middle = geo.LonLat{Lon: 106.55, Lat: 29.56}

const viewport = "set=pm2_5&bbox=106,29,107,30&z=10.7"

func TestFirstAllThenWhatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, Config{})
		tn.report("a", middle, 35)
		tn.report("b", geo.LonLat{Lon: 106.9, Lat: 29.9}, 12.5)
		tn.report("elsewhere", geo.LonLat{Lon: 108, Lat: 31}, 1)
		p := tn.open(viewport, "", nil)
		defer p.close()
		synctest.Wait()
		got := p.named("cells")
		if len(got) != 1 || p.head.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%v %v", p.head, got)
		}
		first := got[0].cells(t)
		if len(first.Cells) != 2 || !first.Full || first.Resolution != 7 || first.Set != "pm2_5" {
			t.Fatalf("%+v", first)
		}
		time.Sleep(time.Second)
		began := time.Now()
		tn.report("a", middle, 36)
		synctest.Wait()
		got = p.named("cells")
		if len(got) != 2 || got[1].At != began {
			t.Fatalf("not told at once: %+v", got)
		}
		c := got[1].cells(t)
		if len(c.Cells) != 1 || c.Full || c.Cells[0][1] != 1.0 || c.Cells[0][3] != 36.0 || c.Cells[0][6] != 36.0 || c.Cells[0][7] != float64(began.Unix()) {
			t.Fatalf("%+v", c)
		}
		tn.report("elsewhere", geo.LonLat{Lon: 108, Lat: 31}, 2)
		time.Sleep(2 * time.Second)
		if n := len(p.named("cells")); n != 2 {
			t.Errorf("%d events after a change elsewhere", n)
		}
	})
}

func TestAtMostTwoASecondAndNothingLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, Config{})
		p := tn.open(viewport, "", nil)
		defer p.close()
		last := 0.0
		for i := range 1000 {
			last = float64(i)
			tn.report("a", middle, last)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		got := p.named("cells")
		for i := 1; i < len(got); i++ {
			if d := got[i].At.Sub(got[i-1].At); d < betweenEvents {
				t.Fatalf("events %v apart", d)
			}
		}
		if len(got) < 18 || len(got) > 23 {
			t.Errorf("%d events in 11 seconds", len(got))
		}
		if c := got[len(got)-1].cells(t); c.Cells[0][3] != last {
			t.Errorf("the last value told is %v, want %v", c.Cells[0][3], last)
		}
	})
}

func TestStatusIsTheHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, Config{})
		tn.report("a", middle, 1)
		p := tn.open(viewport, "", nil)
		defer p.close()
		time.Sleep(21 * time.Second)
		got := p.named("status")
		if len(got) != 4 {
			t.Fatalf("%d in 21 seconds", len(got))
		}
		var st struct {
			At           int64
			Observations uint64
			Rate         *float64
		}
		if err := json.Unmarshal([]byte(got[0].Data), &st); err != nil || st.Observations != 1 || st.Rate == nil || st.At == 0 || got[0].ID != "" {
			t.Errorf("%+v: %v", got[0], err)
		}
	})
}

// TestACellThatEmptiesIsTold: grey is sent as n = 0, and so is what grows stale.
func TestACellThatEmptiesIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, Config{})
		tn.report("a", middle, 35)
		tn.report("b", geo.LonLat{Lon: 106.9, Lat: 29.9}, 12.5)
		p := tn.open(viewport, "", nil)
		defer p.close()
		time.Sleep(time.Second)
		tn.report("a", geo.LonLat{Lon: 108, Lat: 31}, 35)
		synctest.Wait()
		got := p.named("cells")
		if c := got[len(got)-1].cells(t); len(c.Cells) != 1 || fmt.Sprint(c.Cells[0][1:]) != "[0 0 <nil> <nil> <nil> <nil> <nil>]" {
			t.Fatalf("%+v", c)
		}
		time.Sleep(time.Hour)
		tn.Tick(time.Now())
		synctest.Wait()
		got = p.named("cells")
		if c := got[len(got)-1].cells(t); len(c.Cells) != 1 || c.Cells[0][1] != 1.0 || c.Cells[0][2] != 0.0 || c.Cells[0][3] != nil || c.Cells[0][7] == nil {
			t.Fatalf("%+v", c)
		}
	})
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, Config{})
		tn.report("a", middle, 35)
		tn.report("b", geo.LonLat{Lon: 106.9, Lat: 29.9}, 12.5)
		p := tn.open(viewport, "", nil)
		synctest.Wait()
		id := p.named("cells")[0].ID
		p.close()
		tn.report("b", geo.LonLat{Lon: 106.9, Lat: 29.9}, 13)
		again := tn.open(viewport, id, nil)
		synctest.Wait()
		if c := again.named("cells")[0].cells(t); c.Full || len(c.Cells) != 1 || c.Cells[0][3] != 13.0 {
			t.Errorf("resumed with %+v", c)
		}
		again.close()
		for _, old := range []string{"1", "x", "-1", "99999999999999999999", "9999999999999999"} {
			p := tn.open(viewport, old, nil)
			synctest.Wait()
			if c := p.named("cells")[0].cells(t); !c.Full || len(c.Cells) != 2 {
				t.Errorf("%s: %+v", old, c)
			}
			p.close()
		}
	})
}

func TestPoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, Config{})
		tn.report("站\"1", middle, 35)
		p := tn.open("set=pm2_5&bbox=106.5,29.5,106.6,29.6&z=15", "", nil)
		defer p.close()
		time.Sleep(time.Second)
		tn.report("站\"1", geo.LonLat{Lon: 106.5501, Lat: 29.56}, 36)
		synctest.Wait()
		got := p.named("points")
		if len(got) != 2 || len(p.named("cells")) != 0 {
			t.Fatalf("%+v", p.events)
		}
		var points [][]any
		if err := json.Unmarshal([]byte(got[1].Data), &points); err != nil {
			t.Fatal(err)
		}
		if len(points) != 1 || points[0][0] != "bureau/站\"1" || points[0][1] != 106.5501 || points[0][3] != 36.0 || points[0][5] != 1.0 {
			t.Errorf("%v", points)
		}
	})
}

func TestAntimeridianView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, Config{})
		tn.report("west", geo.LonLat{Lon: 179.5, Lat: 0}, 1)
		tn.report("east", geo.LonLat{Lon: -179.5, Lat: 0}, 2)
		tn.report("far", geo.LonLat{Lon: 0, Lat: 0}, 3)
		p := tn.open("set=pm2_5&bbox=179,-1,181,1&z=9", "", nil)
		synctest.Wait()
		p.close()
		if c := p.named("cells")[0].cells(t); len(c.Cells) != 2 {
			t.Errorf("%+v", c)
		}
	})
}

func TestTooManyCellsAreSentCoarser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, Config{MaxCells: 10})
		for i := range 400 {
			tn.add(fmt.Sprint(i), geo.LonLat{Lon: 106.01 + float64(i%20)/25, Lat: 29.01 + float64(i/20)/25}, 1)
		}
		tn.Apply(&tn.batch, time.Now())
		p := tn.open(viewport, "", nil)
		synctest.Wait()
		p.close()
		if c := p.named("cells")[0].cells(t); len(c.Cells) > 10 || c.Resolution >= 7 {
			t.Errorf("%d cells of resolution %d", len(c.Cells), c.Resolution)
		}
	})
}

// TestASlowClientHoldsNobody: one client takes nothing for a minute; the other is told as ever, and the slow one
// then gets the sum of it in one event.
func TestASlowClientHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTown(t, Config{})
		tn.report("a", middle, 0)
		stuck := make(chan struct{})
		slow := tn.open(viewport, "", stuck)
		quick := tn.open(viewport, "", nil)
		for i := range 60 {
			time.Sleep(time.Second)
			tn.report("a", middle, float64(i))
		}
		synctest.Wait()
		if n := len(quick.named("cells")); n != 61 {
			t.Errorf("the quick one got %d events", n)
		}
		close(stuck)
		synctest.Wait()
		time.Sleep(2 * time.Second)
		got := slow.named("cells")
		if len(got) != 2 || got[1].cells(t).Cells[0][3] != 59.0 {
			t.Errorf("the slow one got %+v", got)
		}
		slow.close()
		quick.close()
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		tn := newTown(t, Config{MaxClients: 1, Metrics: NewMetrics(reg)})
		for query, want := range map[string]int{
			"set=nosuch&bbox=1,1,2,2&z=3":  404,
			"bbox=1,1,2,2&z=3":             404,
			"set=pm2_5&z=3":                400,
			"set=pm2_5&bbox=1,1,2&z=3":     400,
			"set=pm2_5&bbox=1,3,2,2&z=3":   400,
			"set=pm2_5&bbox=NaN,1,2,2&z=3": 400,
			"set=pm2_5&bbox=1,1,2,2":       400,
			"set=pm2_5&bbox=1,1,2,2&z=-1":  400,
			"set=pm2_5&bbox=1,1,2,2&z=NaN": 400,
			"set=pm2_5&bbox=1,1,2,2&z=25":  400,
		} {
			p := tn.open(query, "", nil)
			<-p.done
			if p.status != want || p.head.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %d %s", query, p.status, p.text.String())
			}
		}
		first := tn.open(viewport, "", nil)
		synctest.Wait()
		second := tn.open(viewport, "", nil)
		<-second.done
		if second.status != http.StatusServiceUnavailable || second.head.Get("Retry-After") == "" {
			t.Errorf("one too many: %d", second.status)
		}
		first.close()
		third := tn.open(viewport, "", nil)
		synctest.Wait()
		if third.status != 0 {
			t.Errorf("room again: %d", third.status)
		}
		third.close()
	})
}

// TestOverTCP: a real client over a real connection; one that does not read is let go; all ends with the server's
// context.
func TestOverTCP(t *testing.T) {
	reg := prometheus.NewRegistry()
	tn := newTown(t, Config{Metrics: NewMetrics(reg), WriteTimeout: 300 * time.Millisecond})
	for i := range 3000 {
		tn.add(fmt.Sprint(i), geo.LonLat{Lon: 106.01 + float64(i%60)/62, Lat: 29.01 + float64(i/60)/52}, float64(i)/7)
	}
	tn.Apply(&tn.batch, time.Now())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	srv := httptest.NewUnstartedServer(tn.Handler)
	srv.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if err := c.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil { // the kernel would take megabytes for the deaf one
			t.Error(err)
		}
		return ctx
	}
	srv.Start()
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	deaf, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	if err := deaf.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(deaf, "GET /live?set=pm2_5&bbox=106,29,107,30&z=14 HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.Get(srv.URL + "/live?set=pm2_5&bbox=106,29,107,30&z=14")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4<<20)
	seen, deadline := 0, time.Now().Add(30*time.Second)
	for gauge(t, reg, "situ_live_dropped_total") == 0 && time.Now().Before(deadline) {
		tn.Apply(&tn.batch, time.Now()) // repeats: nothing changes
		tn.batch.Reset()
		for i := range 3000 {
			tn.add(fmt.Sprint(i), geo.LonLat{Lon: 106.01 + float64(i%60)/62, Lat: 29.01 + float64(i/60)/52}, float64(i)/7)
		}
		tn.Apply(&tn.batch, time.Now())
		for lines.Scan() { // until the next event has been read
			if strings.HasPrefix(lines.Text(), "event: cells") {
				seen++
				break
			}
		}
	}
	if gauge(t, reg, "situ_live_dropped_total") != 1 || seen < 2 {
		t.Fatalf("dropped %v, the other saw %d events", gauge(t, reg, "situ_live_dropped_total"), seen)
	}
	stop()
	for lines.Scan() {
	}
	http.DefaultClient.CloseIdleConnections()
}

func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func BenchmarkEventOf1000Cells(b *testing.B) {
	cells := make([]sensor.CellSummary, 1000)
	for i := range cells {
		cells[i] = sensor.CellSummary{Cell: geo.Cell(0x8740e9a1bffffff + i), N: 3, Fresh: 2, Mean: 35.25, Min: 30.1, Max: 40.4, Worst: 40.4, Newest: 1_790_000_000_000}
	}
	var buf []byte
	b.ReportAllocs()
	for range b.N {
		buf = appendCells(buf[:0], "pm2_5", 7, 1_790_000_000_000, 1, true, cells)
	}
	b.SetBytes(int64(len(buf)))
}
