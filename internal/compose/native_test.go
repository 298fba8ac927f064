package compose

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/app/edge"
	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/peers"
)

// serviceEnv makes this test binary one of the three programs: the same flags, read by the same code.
const serviceEnv = "SITU_COMPOSE_SERVICE"

func TestMain(m *testing.M) {
	if name := os.Getenv(serviceEnv); name != "" {
		os.Exit(service(name, os.Args[1:]))
	}
	os.Exit(enginetest.Run(m))
}

// service is main of cmd/gateway, cmd/ingester or cmd/query.
func service(name string, args []string) int {
	switch cli := grammar(name).(type) {
	case *gatewayCLI:
		return host.Main(name, "", cli, args, func(ctx context.Context) (err error) {
			if cli.File, err = host.ReadFile(cli.ConfigFile); err != nil {
				return err
			}
			return edge.Run(ctx, cli.Config, cli.Logger(os.Stderr), os.Stdout)
		})
	case *ingesterCLI:
		return host.Main(name, "", cli, args, func(ctx context.Context) error {
			return app.RunIngester(ctx, cli.IngesterConfig, cli.Logger(os.Stderr), os.Stdout)
		})
	case *queryCLI:
		return host.Main(name, "", cli, args, func(ctx context.Context) (err error) {
			if cli.File, err = host.ReadFile(cli.ConfigFile); err != nil {
				return err
			}
			return app.RunQuery(ctx, cli.QueryConfig, cli.Logger(os.Stderr), os.Stdout)
		})
	}
	return host.ExitUsage
}

// native is docker-compose.yml's world on this machine.
type native struct {
	t       *testing.T
	dir     string
	project *types.Project
	places  map[string]string // what is called so in the file, and where it is here
}

// TestNatively runs what docker-compose.yml runs: each command with the arguments, the environment, the files and the
// secrets it has there, and nothing but host names, ports and paths put in their places. A reading goes all the way.
// Of ClickHouse there is the engine, and no server.
func TestNatively(t *testing.T) {
	for _, tool := range []string{"bash", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("not run: no %s, which scripts/secrets needs (Debian: apt install %[1]s)", tool)
		}
	}
	socket := enginetest.Socket(t)
	n := &native{t: t, dir: apptest.Dir(t), places: map[string]string{}}
	secrets := filepath.Join(n.dir, "secrets")
	if out, err := exec.Command(filepath.Join(root, "scripts", "secrets"), secrets).CombinedOutput(); err != nil {
		t.Fatalf("scripts/secrets: %v\n%s", err, out)
	}
	var err error
	if n.project, err = load(t.Context(), composeText(t), "scale", map[string]string{"SITU_SECRETS": secrets, "SITU_AUTO_REGISTER": "true"}); err != nil {
		t.Fatal(err)
	}
	n.startPostgres(secrets)
	n.startKafka()
	n.startMosquitto(secrets)
	n.useEngine(secrets, socket)
	for _, at := range []string{"0.0.0.0:8080", "0.0.0.0:8123", "0.0.0.0:8081", "0.0.0.0:8082"} {
		n.places[at] = free(t)
	}
	n.places["http://query:8080"] = "http://" + n.places["0.0.0.0:8080"]
	n.places["/etc/situ/sources.yaml"] = n.copied("sources.yaml")

	stops := []func(){n.start("query"), n.start("ingester"), n.start("gateway")}
	n.answers("gateway", "readyz") // a broker keeps nothing for a session that was never there
	key := read(t, filepath.Join(secrets, "admin_key"))
	server := apptest.Server{URL: n.places["http://query:8080"], MQTT: n.places["mqtt:1883"]}
	n.publish("situ/v1/demo/balcony/json", `{"lon":106.55,"lat":29.56,"pm2_5":23.4}`, read(t, filepath.Join(secrets, "mqtt_device_password")))
	apptest.Until(t, 2*time.Minute, func() string {
		a := server.Do(t, key, http.MethodPost, "/v1/sql?format=csv", "SELECT count(), any(thing), any(result) FROM history WHERE owner = 'demo'")
		if a.Status != http.StatusOK || !strings.Contains(a.Body, `1,"demo/balcony",23.4`) {
			return fmt.Sprintf("SQL says %d %s", a.Status, a.Body)
		}
		return ""
	})
	if a := server.Do(t, "", http.MethodGet, "/v1/things/demo/balcony", ""); a.Status != http.StatusUnauthorized {
		t.Errorf("without a key: %d", a.Status)
	}
	for _, name := range []string{"gateway", "ingester", "query"} {
		n.healthy(name)
	}
	for i := len(stops) - 1; i >= 0; i-- {
		stops[i]()
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// put replaces what the file calls by the names of places. Longer names go first, so that none hides in another.
func (n *native) put(text string) string {
	var pairs []string
	for _, name := range longestFirst(n.places) {
		pairs = append(pairs, name, n.places[name])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func (n *native) startPostgres(secrets string) {
	s := n.project.Services["postgres"]
	if s.Command[0] != "postgres" {
		n.t.Fatalf("postgres runs %v", s.Command)
	}
	var settings []string
	for i := 1; i < len(s.Command); i += 2 {
		if s.Command[i] != "-c" {
			n.t.Fatalf("postgres: %v", s.Command)
		}
		settings = append(settings, s.Command[i+1])
	}
	p := peers.Postgres(n.t, settings...)
	user, name := *s.Environment["POSTGRES_USER"], *s.Environment["POSTGRES_DB"]
	if user != "situ" || name != "situ" {
		n.t.Fatalf("user %s, database %s", user, name)
	}
	onPostgres(n.t, p.Local, "CREATE DATABASE "+name, "ALTER USER "+user+" PASSWORD '"+read(n.t, filepath.Join(secrets, "postgres_password"))+"'")
	_, at, _ := strings.Cut(p.DSN, "@")
	at, _, _ = strings.Cut(at, "/")
	n.places["postgres:5432"] = at
}

// startKafka gives Kafka the properties that its image makes of the environment.
func (n *native) startKafka() {
	settings := map[string]string{}
	for name, value := range n.project.Services["kafka"].Environment {
		name, is := strings.CutPrefix(name, "KAFKA_")
		if !is {
			continue // CLUSTER_ID goes to the formatting of its storage
		}
		name = strings.ToLower(name)
		for _, turn := range [][2]string{{"___", "-"}, {"__", "\x00"}, {"_", "."}, {"\x00", "_"}} { // as the image does
			name = strings.ReplaceAll(name, turn[0], turn[1])
		}
		settings[name] = *value
	}
	for name, want := range map[string]string{"process.roles": "broker,controller", "node.id": "1", "auto.create.topics.enable": "false",
		"listeners": "PLAINTEXT://:9092,CONTROLLER://:9093", "advertised.listeners": "PLAINTEXT://kafka:9092", "log.dirs": "/var/lib/kafka/data",
		"controller.quorum.voters": "1@kafka:9093"} {
		if settings[name] != want {
			n.t.Errorf("kafka: %s is %q, want %q", name, settings[name], want)
		}
	}
	at, controller := free(n.t), free(n.t)
	put := strings.NewReplacer("PLAINTEXT://:9092", "PLAINTEXT://"+at, "CONTROLLER://:9093", "CONTROLLER://"+controller, "kafka:9092", at,
		"kafka:9093", controller, "/var/lib/kafka/data", filepath.Join(n.dir, "kafka-data"))
	for name, value := range settings {
		settings[name] = put.Replace(value)
	}
	k := peers.KafkaWith(n.t, peers.KafkaOptions{Settings: settings, Addrs: []string{at}})
	n.places["kafka:9092"] = k.Own(0)
}

// startMosquitto starts it with its own configuration file.
func (n *native) startMosquitto(secrets string) {
	t, program := n.t, "/usr/sbin/mosquitto"
	if _, err := os.Stat(program); err != nil {
		t.Skip("not run: no mosquitto (Debian: apt install mosquitto)")
	}
	s := n.project.Services["mqtt"]
	if got := strings.Join(s.Command, " "); got != program+" -c /mosquitto/config/mosquitto.conf" {
		t.Fatalf("mqtt runs %s", got)
	}
	at := free(t)
	_, port, _ := net.SplitHostPort(at)
	n.places["mqtt:1883"] = at
	n.places["listener 1883"] = "user root\nlistener " + port + " 127.0.0.1" // root would become somebody who may not write here
	n.places["/mosquitto/data/"] = n.made("mosquitto") + "/"
	n.places["/run/secrets"] = secrets
	n.places["/mosquitto/config/mosquitto.acl"] = n.copied("mosquitto.acl")
	if os.Geteuid() != 0 {
		n.places["listener 1883"] = "listener " + port + " 127.0.0.1"
	}
	conf := n.copied("mosquitto.conf")
	n.run("mqtt", nil, program, "-c", conf)
	n.await("mqtt", at)
}

// useEngine puts the embedded engine in the place of the ClickHouse server.
func (n *native) useEngine(secrets, socket string) {
	for name, want := range map[string]string{"clickhouse_dsn": "clickhouse://situ:", "clickhouse_sql": "http://reader:"} {
		if given := read(n.t, filepath.Join(secrets, name)); !strings.HasPrefix(given, want) || !strings.Contains(given, "@clickhouse:") {
			n.t.Errorf("%s has another form", name)
		}
	}
	path := filepath.Join(n.dir, "engine_dsn")
	if err := os.WriteFile(path, []byte("unix://"+socket+"\n"), 0o600); err != nil {
		n.t.Fatal(err)
	}
	n.places["/run/secrets/clickhouse_dsn"] = path
}

func (n *native) made(name string) string {
	dir := filepath.Join(n.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		n.t.Fatal(err)
	}
	return dir
}

// copied gives a file of docs/operations with this machine's places in it.
func (n *native) copied(name string) string {
	path := filepath.Join(n.dir, name)
	if err := os.WriteFile(path, []byte(n.put(read(n.t, filepath.Join(root, "docs/operations", name))+"\n")), 0o600); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// start runs one of the three services; stop ends it as `docker compose stop` does, and wants it to end well.
func (n *native) start(name string) (stop func()) {
	s := n.project.Services[name]
	n.places["/var/lib/situ"] = n.made(name)
	var args []string
	for _, arg := range s.Command {
		args = append(args, n.put(arg))
	}
	env := []string{serviceEnv + "=" + name}
	for key, value := range s.Environment {
		if key == "SITU_SQL_CLICKHOUSE_FILE" {
			continue // of a server; on the engine's socket it is not asked for
		}
		env = append(env, key+"="+n.put(*value))
	}
	cmd, ended := n.run(name, env, os.Args[0], args...)
	n.healthy(name)
	return func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			n.t.Error(err)
		}
		if err := <-ended; err != nil {
			n.t.Errorf("%s ended with %v", name, err)
		}
	}
}

// healthy waits until the service's own health check succeeds.
func (n *native) healthy(name string) {
	n.t.Helper()
	n.answers(name, "healthz")
}

// answers asks another path than its health check does, in the same way.
func (n *native) answers(name, path string) {
	n.t.Helper()
	test := n.project.Services[name].HealthCheck.Test
	at := strings.NewReplacer("127.0.0.1:8080", n.places["0.0.0.0:8080"], "127.0.0.1:8081", n.places["0.0.0.0:8081"], "127.0.0.1:8082", n.places["0.0.0.0:8082"])
	apptest.Until(n.t, 2*time.Minute, func() string {
		cmd := exec.CommandContext(n.t.Context(), os.Args[0], test[2], strings.Replace(at.Replace(test[3]), "healthz", path, 1))
		cmd.Env = append(os.Environ(), serviceEnv+"="+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Sprintf("%s is not healthy: %v %s", name, err, out)
		}
		return ""
	})
}

// run starts a program that ends with the test, and shows what it said if the test fails.
func (n *native) run(name string, env []string, program string, args ...string) (*exec.Cmd, <-chan error) {
	n.t.Helper()
	log, err := os.Create(filepath.Join(n.dir, name+".log"))
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.dir, log, log
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.dir}, env...)
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended, gone := make(chan error, 1), make(chan struct{})
	go func() { ended <- cmd.Wait(); close(gone) }()
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended already, usually
		<-gone
		log.Close()
		if n.t.Failed() {
			said, _ := os.ReadFile(log.Name())
			n.t.Logf("%s said:\n%s", name, said)
		}
	})
	return cmd, ended
}

func (n *native) await(name, at string) {
	n.t.Helper()
	apptest.Until(n.t, time.Minute, func() string {
		c, err := net.Dial("tcp", at)
		if err != nil {
			return name + ": " + err.Error()
		}
		c.Close()
		return ""
	})
}

// publish sends a reading as the owner that scripts/secrets made, and checks that others stay out.
func (n *native) publish(topic, payload, password string) {
	n.t.Helper()
	at := n.places["mqtt:1883"]
	if _, err := apptest.Dial(at, "stranger", "demo", "wrong"); err == nil {
		n.t.Error("a wrong password came in")
	}
	var c paho.Client
	apptest.Until(n.t, time.Minute, func() (why string) {
		var err error
		if c, err = apptest.Dial(at, "device", "demo", password); err != nil {
			return err.Error()
		}
		return ""
	})
	defer c.Disconnect(100)
	apptest.Ack(n.t, c, topic, payload)
	apptest.Ack(n.t, c, strings.Replace(topic, "/demo/", "/other/", 1), payload) // acknowledged, and dropped: another's
}
