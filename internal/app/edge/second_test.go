package edge_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/app/edge"
	"github.com/situ-city/situ/internal/app/host"
)

// A second gateway on the same data directory would number its own messages as the first does: it is refused, says what
// to do, and the first goes on. Killed, the first leaves the directory to the next.
func TestSecondOnOneDirectory(t *testing.T) {
	nobody := free(t)
	config := edge.Config{Data: filepath.Join(apptest.Dir(t), "gateway"), HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", AutoRegister: true,
		Registry: "http://" + nobody, RegistryKey: apptest.Key, SpoolBytes: 64 << 20,
		Kafka: host.Kafka{Brokers: []string{nobody}, Topic: "situ.observations.v1", Partitions: 2, Replication: 1}}
	first, second := &victim{name: "gateway", config: config}, &victim{name: "gateway", config: config}
	answers := func() (state apptest.Server) {
		t.Helper()
		apptest.Until(t, time.Minute, func() string {
			at, ok := first.said.After("state  ")
			if state.URL = strings.TrimSuffix(at, "/readyz"); !ok {
				return "it does not say where it is: " + first.said.String()
			}
			return ""
		})
		return state
	}
	first.start(t)
	t.Cleanup(func() { _ = first.cmd.Process.Kill(); _ = first.cmd.Wait() }) // it may have ended
	state := answers()
	second.start(t)
	if err := second.cmd.Wait(); err == nil {
		t.Error("the second ended as if all were well")
	}
	for _, w := range []string{"another situ is running on " + config.Data, "stop it, or give this one its own --data"} {
		if !strings.Contains(second.said.String(), w) {
			t.Errorf("the second does not say %q: %s", w, second.said)
		}
	}
	if a := state.Do(t, "", http.MethodGet, "/healthz", ""); a.Status != http.StatusOK {
		t.Errorf("the first one's health is %d", a.Status)
	}
	_ = first.end(syscall.SIGKILL) // says that it was killed
	first.start(t)
	answers()
	if err := first.end(syscall.SIGTERM); err != nil {
		t.Errorf("the next one ended with %v: %s", err, first.said)
	}
}
