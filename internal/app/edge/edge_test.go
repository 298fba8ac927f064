// Tests of cmd/gateway's composition, alone and with the two other processes on Kafka's double and the real engine.
package edge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/app/edge"
	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

// running is one process, run in this one.
type running struct {
	out  apptest.Lines
	stop func() // ends it, and wants it to end without an error
	done chan struct{}
	err  error // of its end, once done is closed
}

// start runs a process until it is stopped, at the latest with the test.
func start(t *testing.T, name string, run func(context.Context, *slog.Logger, *apptest.Lines) error) *running {
	t.Helper()
	r := &running{done: make(chan struct{})}
	logger := slog.New(slog.NewTextHandler(logTo{t, name}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(r.done)
		r.err = run(ctx, logger, &r.out)
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-r.done:
			if r.err != nil {
				t.Errorf("%s ended with %v", name, r.err)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s does not stop", name)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// said waits for a line of the output and gives what follows prefix in it.
func (r *running) said(t *testing.T, prefix string) (rest string) {
	t.Helper()
	apptest.Until(t, time.Minute, func() string {
		select {
		case <-r.done:
			t.Fatalf("it ended with %v", r.err)
		default:
		}
		var ok bool
		if rest, ok = r.out.After(prefix); !ok {
			return "no line " + prefix
		}
		return ""
	})
	rest, _, _ = strings.Cut(rest, " ")
	return rest
}

type logTo struct {
	t    *testing.T
	name string
}

func (l logTo) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil { // a connection may still speak when the test is over
		l.t.Logf("%s: %s", l.name, b)
	}
	return len(b), nil
}

// listenOn makes a listener of one address, whatever is asked for.
func listenOn(addr string) func(network, _ string) (net.Listener, error) {
	return func(network, _ string) (net.Listener, error) { return net.Listen(network, addr) }
}

// free gives an address that nothing listens on now.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// world is Kafka's double, the engine, and the flags of the three processes.
type world struct {
	cluster  *kfake.Cluster
	gateway  edge.Config
	ingester app.IngesterConfig
	query    app.QueryConfig
}

func kafkaFlags(c *kfake.Cluster) host.Kafka {
	return host.Kafka{Brokers: c.ListenAddrs(), Topic: "situ.observations.v1", Partitions: 4, Replication: 1, Session: 2 * time.Second, ShortSession: true}
}

func cluster(t *testing.T) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newWorld(t *testing.T) *world {
	t.Helper()
	socket, dir, database := enginetest.Socket(t), apptest.Dir(t), "apart"
	t.Cleanup(func() {
		conn, err := engine.Open(socket, "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+database+" SYNC"); err != nil {
			t.Error(err)
		}
	})
	c := cluster(t)
	kafka, web := kafkaFlags(c), free(t)
	return &world{
		cluster: c,
		gateway: edge.Config{Data: filepath.Join(dir, "gateway"), HTTP: "127.0.0.1:0", MQTT: free(t), AutoRegister: true, Gateway: "gw-test",
			Registry: "http://" + web, RegistryKey: apptest.Key, SpoolBytes: 64 << 20, Kafka: kafka},
		ingester: app.IngesterConfig{HTTP: "127.0.0.1:0", ClickHouse: "unix://" + socket, Database: database, Group: "ingest", Kafka: kafka},
		query: app.QueryConfig{Data: filepath.Join(dir, "query"), HTTP: web, AdminKey: apptest.Key, ClickHouse: "unix://" + socket,
			Database: database, Group: "ingest", Kafka: kafka},
	}
}

func (w *world) startGateway(t *testing.T) *running {
	t.Helper()
	r := start(t, "gateway", func(ctx context.Context, l *slog.Logger, out *apptest.Lines) error {
		return edge.Run(ctx, w.gateway, l, out)
	})
	apptest.Server{URL: strings.TrimSuffix(r.said(t, "state  "), "/readyz")}.WaitReady(t)
	return r
}

func (w *world) startIngester(t *testing.T) *running {
	t.Helper()
	r := start(t, "ingester", func(ctx context.Context, l *slog.Logger, out *apptest.Lines) error {
		return app.RunIngester(ctx, w.ingester, l, out)
	})
	apptest.Server{URL: strings.TrimSuffix(r.said(t, "state  "), "/readyz")}.WaitReady(t)
	return r
}

func (w *world) startQuery(t *testing.T) *running {
	t.Helper()
	r := start(t, "query", func(ctx context.Context, l *slog.Logger, out *apptest.Lines) error {
		return app.RunQuery(ctx, w.query, l, out)
	})
	r.said(t, "map    ")
	w.server().WaitReady(t)
	return r
}

func (w *world) server() apptest.Server {
	return apptest.Server{URL: "http://" + w.query.HTTP, MQTT: w.gateway.MQTT}
}

// publish sends n readings of one Thing, one after the other, the first numbered from, and waits for each PUBACK.
func (w *world) publish(t *testing.T, thing string, from, n int) {
	t.Helper()
	client := w.server().Connect(t, "test-"+thing, "", "")
	defer client.Disconnect(50)
	base := time.Now().Add(-time.Hour).Truncate(time.Hour)
	for i := from; i < from+n; i++ {
		b, err := json.Marshal(map[string]any{"t": base.Add(time.Duration(i) * time.Second).UnixMilli(), "lon": 106.55, "lat": 29.56, "pm2_5": i})
		if err != nil {
			t.Fatal(err)
		}
		apptest.Ack(t, client, "situ/v1/bureau/"+thing+"/json", string(b))
	}
}

// rows is what analysts see.
func (w *world) rows(t *testing.T) (n int64) {
	t.Helper()
	return w.server().SQL(t, "SELECT count() AS n FROM history")[0].Int(t, "n")
}

// TestApart: 500 readings published over MQTT are 500 rows, whatever is stopped in between, and what Things said of
// themselves while nobody kept the registry is known when somebody does again.
func TestApart(t *testing.T) {
	w := newWorld(t)
	query := w.startQuery(t)
	ingester, gateway := w.startIngester(t), w.startGateway(t)
	w.publish(t, "first", 0, 200)

	// The gateway starts again and has forgotten what Kafka has: it sends everything twice.
	gateway.stop()
	if err := os.Remove(filepath.Join(w.gateway.Data, "spool", "live", "published")); err != nil {
		t.Fatal(err)
	}
	gateway = w.startGateway(t)
	w.publish(t, "first", 200, 100)
	apptest.Until(t, time.Minute, func() string {
		if n := w.rows(t); n != 300 {
			return fmt.Sprintf("%d rows of 300", n)
		}
		return ""
	})

	// Without the ingester readings wait in Kafka; without query a stranger's declaration does.
	query.stop()
	w.publish(t, "second", 300, 100)
	ingester.stop()
	w.publish(t, "third", 400, 60)
	gateway.stop()
	gateway = w.startGateway(t) // by its snapshot file: nobody keeps the registry now
	w.publish(t, "third", 460, 40)
	ingester = w.startIngester(t)
	w.stored(t, 500)
	query = w.startQuery(t)

	server := w.server()
	apptest.Until(t, time.Minute, func() string {
		var page struct {
			Things []struct{ ID string } `json:"things"`
		}
		server.Get(t, "/v1/things", &page)
		if len(page.Things) != 3 {
			return fmt.Sprintf("things are %v", page.Things)
		}
		return ""
	})
	row := server.SQL(t, `SELECT count() AS n, uniqExact(datastream, phenomenon_time) AS instants, uniqExact(result) AS results,
		sum(result) AS sum, countIf(cell = 0) AS cellless, uniqExact(gateway, epoch, lane, seq, idx) AS identities FROM history`)[0]
	for column, want := range map[string]int64{"n": 500, "instants": 500, "results": 500, "sum": 500 * 499 / 2, "cellless": 0, "identities": 500} {
		if got := row.Int(t, column); got != want {
			t.Errorf("%s is %d, want %d", column, got, want)
		}
	}
	var thing struct {
		Datastreams []struct {
			Property string
			Latest   struct{ Result float64 }
		}
	}
	apptest.Until(t, time.Minute, func() string {
		server.Get(t, "/v1/things/bureau/third", &thing)
		if len(thing.Datastreams) != 1 || thing.Datastreams[0].Property != "pm2_5" || thing.Datastreams[0].Latest.Result != 499 {
			return fmt.Sprintf("third is %+v", thing)
		}
		return ""
	})
	gateway.stop()
	ingester.stop()
	query.stop()
}

// stored waits until the raw table has n rows, asking the engine itself.
func (w *world) stored(t *testing.T, n uint64) {
	t.Helper()
	conn, err := engine.Open(strings.TrimPrefix(w.ingester.ClickHouse, "unix://"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	apptest.Until(t, time.Minute, func() string {
		var got uint64
		if err := conn.QueryRow(t.Context(), "SELECT count() FROM "+w.ingester.Database+".observations").Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != n {
			return fmt.Sprintf("%d rows of %d", got, n)
		}
		return ""
	})
}
