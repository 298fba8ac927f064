package edge_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/app/edge"
	"github.com/situ-city/situ/internal/app/host"
)

// TestEverythingComesLate: a gateway's first start finds no registry and no Kafka. It takes nothing before it has seen
// the registry, and keeps what it takes until there is a Kafka.
func TestEverythingComesLate(t *testing.T) {
	dir, web, broker := apptest.Dir(t), free(t), free(t)
	users := filepath.Join(dir, "users")
	allow(t, users, "bureau", "first password")
	kafka := host.Kafka{Brokers: []string{broker}, Topic: "situ.observations.v1", Partitions: 2, Replication: 1}
	w := &world{
		gateway: edge.Config{Data: filepath.Join(dir, "gateway"), HTTP: "127.0.0.1:0", MQTT: free(t), Credentials: users, AutoRegister: true,
			Registry: "http://" + web, RegistryKey: apptest.Key, SpoolBytes: 64 << 20, Kafka: kafka},
		query: app.QueryConfig{Data: filepath.Join(dir, "query"), HTTP: web, AdminKey: apptest.Key, Group: "ingest", Kafka: kafka,
			ClickHouse: "clickhouse://127.0.0.1:1", Database: "situ"},
	}
	gateway := start(t, "gateway", func(ctx context.Context, l *slog.Logger, out *apptest.Lines) error {
		return edge.Run(ctx, w.gateway, l, out)
	})
	state := apptest.Server{URL: strings.TrimSuffix(gateway.said(t, "state  "), "/readyz")}
	apptest.Until(t, time.Minute, func() string {
		if why := state.NotReady(t)["registry"]; !strings.Contains(why, "never seen the registry at http://"+web) || !strings.Contains(why, "refused") {
			return "readyz says " + why
		}
		return ""
	})

	query := start(t, "query", func(ctx context.Context, l *slog.Logger, out *apptest.Lines) error {
		return app.RunQuery(ctx, w.query, l, out)
	})
	query.said(t, "map    ")
	state.WaitReady(t)

	server := w.server()
	if _, err := apptest.Dial(server.MQTT, "c", "", ""); err == nil {
		t.Error("a client without a password came in")
	}
	if _, err := apptest.Dial(server.MQTT, "c", "bureau", "another"); err == nil {
		t.Error("a client with a wrong password came in")
	}
	client := server.Connect(t, "c", "bureau", "first password")
	for i := range 20 {
		apptest.Ack(t, client, fmt.Sprintf("situ/v1/bureau/pump%d/json", i), `{"temperature":21.5}`)
	}
	apptest.Ack(t, client, "situ/v1/other/pump/json", `{"temperature":21.5}`)
	if n := state.Metric(t, "situ_gateway_dead_letters_total", `reason="acl"`); n != 1 {
		t.Errorf("%v dead letters for a foreign topic", n)
	}
	if n := state.Metric(t, "situ_batch_waiting_messages", `lane="live"`); n != 21 {
		t.Errorf("%v messages wait for Kafka, want 21", n)
	}

	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(listenOn(broker)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	apptest.Until(t, time.Minute, func() string {
		if n := state.Metric(t, "situ_batch_waiting_messages", `lane="live"`); n != 0 {
			return fmt.Sprintf("%v messages wait for Kafka", n)
		}
		return ""
	})
	if n := state.Metric(t, "situ_batch_observations_total", `lane="live"`); n != 20 {
		t.Errorf("%v observations published, want 20", n)
	}

	// A changed file holds for new connections.
	allow(t, users, "bureau", "second password")
	apptest.Until(t, time.Minute, func() string {
		c, err := apptest.Dial(server.MQTT, "d", "bureau", "second password")
		if err != nil {
			return err.Error()
		}
		c.Disconnect(0)
		return ""
	})
	if _, err := apptest.Dial(server.MQTT, "e", "bureau", "first password"); err == nil {
		t.Error("the old password is still good")
	}

	a := server.Do(t, apptest.Key, http.MethodPost, "/v1/sql", "SELECT 1")
	if a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "--sql-clickhouse") {
		t.Errorf("SQL without an address for it: %d %s", a.Status, a.Body)
	}
	if why := server.NotReady(t); why["history"] == "" {
		t.Errorf("readyz without ClickHouse names %v", why)
	}
	gateway.stop()
	query.stop()
}

// allow writes the file of credentials with one user in it.
func allow(t *testing.T, path, user, password string) {
	t.Helper()
	if err := os.WriteFile(path, fmt.Appendf(nil, "%s:%x:bureau\n", user, sha256.Sum256([]byte(password))), 0o600); err != nil {
		t.Fatal(err)
	}
}
