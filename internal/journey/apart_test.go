package journey

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/peers"
)

// apart is situ as it runs at scale: cmd/gateway, cmd/ingester and cmd/query as processes of their own, between a real
// Kafka, a real Mosquitto, a real PostgreSQL with the registry, and the store.
type apart struct {
	*testing.T
	dir, bin         string
	socket, database string
	shared           []string // flags of all three
	server           apptest.Server
	query            *peers.Program
	front            *peers.Program // gateway with an MQTT front of its own
	pull             *peers.Program // gateway that pulls from Mosquitto
	ingesters        []*peers.Program
}

const mqttFactory = "factory/t%d/up"

func newApart(t *testing.T, mosquitto string) *apart {
	a := &apart{T: t, socket: enginetest.Socket(t), database: "journey_apart", dir: apptest.Dir(t)}
	k, registry := peers.Kafka(t, 1), peers.Postgres(t)
	a.bin = peers.Build(t, "github.com/situ-city/situ/cmd/gateway", "github.com/situ-city/situ/cmd/ingester", "github.com/situ-city/situ/cmd/query")
	t.Cleanup(func() {
		conn, err := engine.Open(a.socket, "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+a.database+" SYNC"); err != nil {
			t.Error(err)
		}
	})
	a.shared = []string{"--kafka", strings.Join(k.Addrs(), ","), "--kafka-partitions", "6", "--kafka-replication", "1", "--kafka-session", "3s", "--kafka-short-session"}
	web, front := peers.FreeAddr(t), peers.FreeAddr(t)
	a.server = apptest.Server{URL: "http://" + web, MQTT: front, Data: filepath.Join(a.dir, "query")}
	sources := filepath.Join(a.dir, "pull.yaml")
	text := fmt.Sprintf("sources:\n- {name: factory, broker: 'tcp://%s', topics: ['factory/{thing}/up'], protocol: json, owner: plant}\n", mosquitto)
	if err := os.WriteFile(sources, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	store := []string{"--clickhouse", "unix://" + a.socket, "--database", a.database}
	a.query = a.program("query", "query", append(store, "--data", a.server.Data, "--registry-dsn", registry.DSN, "--http", web, "--clickhouse-http="))
	for i := range 3 {
		a.ingesters = append(a.ingesters, a.program("ingester", fmt.Sprintf("ingester-%d", i), append(store, "--http="+peers.FreeAddr(t))))
	}
	gateway := func(name string, flags ...string) *peers.Program {
		return a.program("gateway", name, append(flags, "--data", filepath.Join(a.dir, name), "--gateway", name, "--registry", a.server.URL,
			"--http="+peers.FreeAddr(t), "--auto-register"))
	}
	a.front = gateway("gw-front", "--mqtt", front)
	a.pull = gateway("gw-pull", "--mqtt=", "--config", sources)
	return a
}

func (a *apart) program(command, name string, flags []string) *peers.Program {
	return &peers.Program{Path: filepath.Join(a.bin, command), Args: slices.Concat(flags, a.shared), Log: filepath.Join(a.dir, name+".log"),
		Env: []string{"SITU_ADMIN_KEY=" + apptest.Key, "SITU_REGISTRY_KEY=" + apptest.Key}}
}

// ready waits until a process has nothing to name on its own port.
func (a *apart) ready(p *peers.Program) {
	a.Helper()
	state := a.state(p)
	apptest.Until(a, 2*time.Minute, func() string {
		if p.Ended() {
			a.Fatalf("%s has ended, and said\n%s", p.Path, p.Said(a))
		}
		res, err := http.Get(state.URL + "/readyz")
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		return map[bool]string{false: "not ready: " + res.Status}[res.StatusCode == http.StatusOK]
	})
}

func (a *apart) state(p *peers.Program) apptest.Server {
	if p == a.query {
		return a.server
	}
	for _, flag := range p.Args {
		if addr, ok := strings.CutPrefix(flag, "--http="); ok {
			return apptest.Server{URL: "http://" + addr}
		}
	}
	a.Fatal("it has no port")
	return apptest.Server{}
}

// ask asks the store itself.
func (a *apart) ask(sql string) []map[string]any {
	a.Helper()
	j := &journey{T: a.T}
	return objects(a.T, j.ask(a.socket, strings.ReplaceAll(sql, "~", a.database+".")+" SETTINGS output_format_json_escape_forward_slashes = 0 FORMAT JSONEachRow"))
}

func objects(t *testing.T, text string) (list []map[string]any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	for dec.More() {
		var o map[string]any
		if err := dec.Decode(&o); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		list = append(list, o)
	}
	return list
}

// TestApart runs the golden journeys through the separate processes, and then floods them while they are killed, stopped,
// paused and added. In the end every acknowledged reading is there, and no identity twice.
func TestApart(t *testing.T) {
	m := peers.Mosquitto(t, "")
	a := newApart(t, m.Addr())
	defer func() {
		for _, p := range append([]*peers.Program{a.query, a.front, a.pull}, a.ingesters...) {
			if text, err := os.ReadFile(p.Log); t.Failed() || strings.Contains(string(text), "DATA RACE") {
				t.Errorf("%s said\n%s%v", p.Log, text[max(0, len(text)-4000):], err)
			}
		}
	}()
	// The clocks of gateway and query are moved to when the journeys take place.
	moved := []string{fmt.Sprintf("%s=clock=%ds", failpoint.Env, int(time.Until(arrival).Seconds())), fmt.Sprintf("%s=%d", failpoint.EnvBy, os.Getpid())}
	a.query.Env = append(a.query.Env, moved...)
	a.query.Start(t)
	a.ingesters[0].Start(t)
	a.ready(a.query)
	a.front.Env = append(a.front.Env, moved...)
	a.front.Start(t)
	a.ready(a.front)
	t.Run("golden", a.golden)
	if code := a.front.End(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the gateway ends with %d", code)
	}
	a.front.Env, a.query.Env = a.front.Env[:2], a.query.Env[:2]
	t.Run("rebalances", func(t *testing.T) { a.rebalances(t, m) })
}

// golden holds what the processes stored against the files of the journeys: all but who was the gateway and when.
func (a *apart) golden(t *testing.T) {
	a.T = t
	client := a.server.Connect(t, "box-7", "", "")
	files, err := filepath.Glob("../../testdata/journey/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no journeys: %v", err)
	}
	sections := map[string]map[string]string{}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		given := map[string]string{}
		for _, f := range ar.Files {
			given[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
		}
		sections[file] = given
		if csv := given["things.csv"]; csv != "" {
			answer := a.server.Do(t, apptest.Key, http.MethodPost, "/v1/register", csv+"\n")
			if answer.Status != http.StatusMultiStatus {
				t.Fatalf("register: %d %s", answer.Status, answer.Body)
			}
		}
	}
	a.follows(t)
	for _, given := range sections {
		apptest.Ack(t, client, given["topic"], given["payload"])
	}
	var things []string
	for file, given := range sections {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		thing := map[string]string{"hj212-air": "ecology/air-12", "auto-register": "me/shed"}[name]
		if thing == "" {
			thing = "water/gauge-7"
		}
		things = append(things, thing)
		if want := given["history.json"]; want != "" {
			a.same(t, name, "SELECT * FROM ~history WHERE thing = '"+thing+"' ORDER BY lane, seq, idx", want)
		}
		if want := given["row.deadletter.json"]; want != "" {
			a.same(t, name, "SELECT * FROM ~deadletters WHERE topic = '"+given["topic"]+"' ORDER BY seq, idx", want)
		}
	}
	for file, given := range sections {
		a.shows(t, filepath.Base(file), given["tile.json"])
	}
	t.Logf("%d journeys: %v", len(sections), things)
}

// shows waits until the tiles of cmd/query hold what the file's tiles hold. Other journeys' cells may be there too.
func (a *apart) shows(t *testing.T, name, golden string) {
	t.Helper()
	var want []tileDoc
	if err := json.Unmarshal([]byte(golden), &want); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, w := range want {
		apptest.Until(t, time.Minute, func() string {
			answer := a.server.Do(t, apptest.Key, http.MethodGet, w.Path, "")
			if answer.Status != http.StatusOK {
				return fmt.Sprintf("%s, %s: %d %s", name, w.Path, answer.Status, answer.Body)
			}
			var made bytes.Buffer // the way the file was made
			if err := json.NewEncoder(&made).Encode((&journey{T: t}).tileDocOf(w.Path, []byte(answer.Body))); err != nil {
				t.Fatal(err)
			}
			var got tileDoc
			if err := json.Unmarshal(made.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			for layer, features := range w.Layers {
				for _, f := range features {
					if !slices.ContainsFunc(got.Layers[layer], func(g featureDoc) bool { return reflect.DeepEqual(g, f) }) {
						return fmt.Sprintf("%s: %s lacks\n%v\nit has\n%v", name, w.Path, f, got.Layers[layer])
					}
				}
			}
			return ""
		})
	}
}

// follows waits until the gateway knows what was registered.
func (a *apart) follows(t *testing.T) {
	var head struct {
		Head uint64 `json:"head"`
	}
	a.server.Get(t, "/v1/registry/changes?since=0", &head)
	state := a.state(a.front)
	apptest.Until(t, time.Minute, func() string {
		if v := state.Metric(t, "situ_registry_follower_version"); v < float64(head.Head) || v == 0 {
			return fmt.Sprintf("the gateway knows change %v of %d", v, head.Head)
		}
		return ""
	})
}

// masked columns tell of this run: who the gateway was, when, and where on the bus.
var masked = []string{"arrival_time", "gateway", "epoch", "seq", "registry", "id", "log", "partition", "block_from", "block_to", "packet", "changed_at"}

func (a *apart) same(t *testing.T, journey, sql, golden string) {
	t.Helper()
	var want []map[string]any
	dec := json.NewDecoder(strings.NewReader(golden))
	dec.UseNumber()
	if err := dec.Decode(&want); err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	apptest.Until(t, time.Minute, func() string {
		if got = a.ask(sql); len(got) < len(want) {
			return fmt.Sprintf("%s: %d rows of %d", journey, len(got), len(want))
		}
		for _, rows := range [][]map[string]any{got, want} {
			for _, row := range rows {
				if at := fmt.Sprint(row["arrival_time"]); row["arrival_time"] != nil && !strings.HasPrefix(at, "2026-03-01 00:") {
					t.Errorf("%s: arrived at %s", journey, at)
				}
				for _, column := range masked {
					delete(row, column)
				}
			}
		}
		for _, row := range got {
			maps.DeleteFunc(row, func(column string, _ any) bool { _, known := want[0][column]; return !known })
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Sprintf("%s:\n%v\nthe file has\n%v", journey, got, want)
		}
		return ""
	})
}

// rebalances: two gateways and two ingesters, and then one more, one less, one dead, one asleep.
func (a *apart) rebalances(t *testing.T, m *peers.MosquittoServer) {
	a.T = t
	a.front.Start(t)
	a.pull.Start(t)
	a.ingesters[1].Start(t)
	for _, p := range []*peers.Program{a.front, a.pull, a.ingesters[1]} {
		a.ready(p)
	}
	apptest.Until(t, time.Minute, func() string {
		if a.state(a.pull).Metric(t, "situ_gateway_pull_up") != 1 {
			return "the gateway has not subscribed"
		}
		return ""
	})
	floods := []*apptest.Flood{
		apptest.StartFlood(t, apptest.FloodOptions{Addr: a.server.MQTT, Batch: 50, Pause: 50 * time.Millisecond}),
		apptest.StartFlood(t, apptest.FloodOptions{Addr: m.Addr(), Topic: mqttFactory, First: 10_000_000, Batch: 50, Pause: 50 * time.Millisecond}),
	}
	kill := func(p *peers.Program) { p.End(t, syscall.SIGKILL) }
	stop := func(p *peers.Program) {
		if code := p.End(t, syscall.SIGTERM); code != 0 {
			t.Errorf("%s, asked to stop, ends with %d", p.Path, code)
		}
	}
	for i, event := range []func(){
		func() { kill(a.ingesters[0]) },
		func() { a.ingesters[2].Start(t) },
		func() { kill(a.front); a.front.Start(t) },
		func() { stop(a.ingesters[1]); a.ingesters[0].Start(t) },
		func() { kill(a.pull); kill(a.ingesters[2]); a.pull.Start(t); a.ingesters[1].Start(t) },
		func() { a.ingesters[0].Signal(t, syscall.SIGSTOP) },
		func() { a.ingesters[0].Signal(t, syscall.SIGCONT) }, // its partitions are others' by now
		func() { kill(a.query); stop(a.front); a.query.Start(t); a.front.Start(t) },
	} {
		event()
		a.moves(t, i)
	}
	acked := map[int64]bool{}
	sent := 0
	for _, f := range floods {
		f.Enough(t, 1000)
		list, n := f.End()
		for _, n := range list {
			acked[n] = true
		}
		sent += n
	}
	a.settled(t, acked, sent)
	for _, p := range []*peers.Program{a.pull, a.front, a.ingesters[0], a.ingesters[1], a.query} {
		stop(p)
	}
}

// moves waits until rows of both gateways are stored that were not there a moment ago.
func (a *apart) moves(t *testing.T, event int) {
	t.Helper()
	const seqs = "SELECT toString(gateway) AS g, max(seq) AS n FROM ~observations WHERE gateway IN ('gw-front', 'gw-pull') GROUP BY g"
	before := map[string]int64{}
	for _, row := range a.ask(seqs) {
		before[fmt.Sprint(row["g"])] = number(t, row["n"])
	}
	apptest.Until(t, 2*time.Minute, func() string {
		moved := 0
		rows := a.ask(seqs)
		for _, row := range rows {
			if number(t, row["n"]) > before[fmt.Sprint(row["g"])]+100 {
				moved++
			}
		}
		if moved < 2 {
			return fmt.Sprintf("after event %d: %v, was %v", event, rows, before)
		}
		return ""
	})
}

// settled waits until everything acknowledged is there, and wants nothing to be there twice.
func (a *apart) settled(t *testing.T, acked map[int64]bool, sent int) {
	t.Helper()
	there := map[int64]bool{}
	apptest.Until(t, 2*time.Minute, func() string {
		rows := a.ask("SELECT toInt64(result) AS n FROM ~history WHERE owner IN ('bureau', 'plant')")
		clear(there)
		for _, row := range rows {
			there[number(t, row["n"])] = true
		}
		if len(rows) != len(there) || len(rows) > sent {
			t.Fatalf("%d rows of %d readings; %d were sent", len(rows), len(there), sent)
		}
		missing := 0
		for n := range acked {
			if !there[n] {
				missing++
			}
		}
		return map[bool]string{false: fmt.Sprintf("of %d acknowledged readings %d are not among the %d rows", len(acked), missing, len(rows))}[missing == 0]
	})
	raw := a.ask("SELECT count() AS n, uniqExact(gateway, epoch, lane, seq, idx) AS identities FROM ~observations")[0]
	if raw["n"] != raw["identities"] {
		t.Errorf("rows and identities: %v", raw)
	}
	if n := a.server.SQL(t, "SELECT count() AS n FROM history WHERE owner IN ('bureau', 'plant')")[0].Int(t, "n"); n != int64(len(there)) {
		t.Errorf("cmd/query shows %d rows, the store has %d", n, len(there))
	}
	t.Logf("%d sent, %d acknowledged, each of these there once; %v stored", sent, len(acked), raw["n"])
}

func number(t *testing.T, v any) (n int64) {
	t.Helper()
	if _, err := fmt.Sscan(fmt.Sprint(v), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
