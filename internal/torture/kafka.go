package torture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/peers"
)

// session is the ingesters' with Kafka: who is silent for longer is taken for dead.
const session = 2 * time.Second

// partitions of the topic.
const partitions = 4

// kafkaWorld is two gateways, two ingesters, query and store as processes, with Apache Kafka and Mosquitto between them
// and the sensors. Kafka and the store are reached through proxies.
//
//	sensors --[proxy]--> gateway 1 --.                      .--> ingester 1 --.
//	sensors -> Mosquitto -pull-^      '--[proxy]--> Kafka --+--> ingester 2 --+--[proxy]--> store
//	sensors --[proxy]--> gateway 2 --------^                '--> query -----------------------^
type kafkaWorld struct {
	cfg    Config
	log    *slog.Logger
	all    []*process
	nets   []*proxy
	ready  []string // addresses with /readyz
	edges  []string // those of them that are gateways
	store  string   // the store's own socket
	small  *disk
	fronts []broker
	end    context.CancelFunc
	called string // what the log is called in the store, once a rupture wanted to know

	mu        sync.Mutex // guards the peers, which may be started and stopped by one at a time
	kafka     *peers.KafkaCluster
	mosquitto *peers.MosquittoServer
}

func newKafkaWorld(cfg Config, log *slog.Logger) (_ *kafkaWorld, err error) {
	w := &kafkaWorld{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	ports, err := freePorts(7)
	if err != nil {
		return nil, err
	}
	if err := w.startPeers(ports[6]); err != nil {
		return nil, err
	}
	return w, w.prepare(ports)
}

// startPeers starts Kafka, which tells its clients to come to the proxy, and Mosquitto.
func (w *kafkaWorld) startPeers(own string) error {
	front, err := newProxy("all-kafka", own)
	if err != nil {
		return err
	}
	w.nets = append(w.nets, front)
	w.kafka, err = peers.StartKafka(w.cfg.Dir, peers.KafkaOptions{Addrs: []string{own}, Advertised: []string{front.addr()}})
	if err != nil {
		return err
	}
	dir := filepath.Join(w.cfg.Dir, "mosquitto")
	if err := os.Mkdir(dir, 0o750); err != nil {
		return err
	}
	w.mosquitto, err = peers.StartMosquitto(dir, "")
	return err
}

// prepare writes down how each process is started.
func (w *kafkaWorld) prepare(ports []string) (err error) {
	short, err := os.MkdirTemp("", "situ-t-") // a socket's path is short
	if err != nil {
		return err
	}
	w.store = filepath.Join(short, "store.sock")
	stores, err := newSocketProxy("ingester-store", filepath.Join(short, "proxy.sock"), w.store)
	if err != nil {
		return err
	}
	w.nets = append(w.nets, stores)
	lib, err := engine.Find("")
	if err != nil {
		return err
	}
	w.add("store", []string{w.cfg.Situ, "store", "--data", w.dir("clickhouse"), "--socket", w.store, "--library", lib}, "")
	bus := []string{"--kafka", w.nets[0].addr()}
	w.add("query", slices.Concat([]string{w.program("query"), "--data", w.dir("query"), "--http", ports[0], "--clickhouse", "unix://" + w.store,
		"--clickhouse-http", "", "--open-map", "--kafka-partitions", fmt.Sprint(partitions), "--kafka-replication", "1", "--kafka-session", session.String(), "--kafka-short-session"}, bus), ports[0])
	gateway, hand, ingester := failpoint.Points()
	for i := range 2 {
		p := w.add(fmt.Sprintf("ingester%d", i+1), slices.Concat([]string{w.program("ingester"), "--http", ports[1+i],
			"--clickhouse", "unix://" + filepath.Join(short, "proxy.sock"), "--kafka-session", session.String(), "--kafka-short-session"}, bus), ports[1+i])
		p.points = ingester
		p.recover = []string{failpoint.IngesterRecover, failpoint.IngesterReplay, failpoint.IngesterIntended, failpoint.StorePart, failpoint.IngesterStored}
	}
	for i := range 2 {
		if err := w.addGateway(i, ports[3], ports[4+i], bus, slices.Concat(gateway, hand)); err != nil {
			return err
		}
		ports[3] = ""
	}
	w.fronts = append(w.fronts, broker{addr: w.mosquitto.Addr, relayed: true})
	return nil
}

// addGateway prepares a gateway. The first one pulls from Mosquitto too, and has the small disk.
func (w *kafkaWorld) addGateway(i int, http, mqtt string, bus, points []string) error {
	name := fmt.Sprintf("gateway%d", i+1)
	front, err := newProxy("sensors-"+name, mqtt)
	if err != nil {
		return err
	}
	w.nets = append(w.nets, front)
	w.fronts = append(w.fronts, broker{addr: front.addr, qos2: true})
	if http == "" {
		list, err := freePorts(1)
		if err != nil {
			return err
		}
		http = list[0]
	}
	argv := slices.Concat([]string{w.program("gateway"), "--data", w.dir(name), "--gateway", name, "--http", http, "--mqtt", mqtt, "--auto-register", "--canary", "0s",
		"--registry", "http://" + w.ready[0], "--spool-bytes", fmt.Sprint(spoolBytes)}, bus)
	if i == 0 {
		config := filepath.Join(w.cfg.Dir, "sources.yaml")
		text := fmt.Sprintf("sources:\n  - name: town\n    broker: tcp://%s\n    topics: [situ/v1/#]\n", w.mosquitto.Addr())
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return err
		}
		argv = append(argv, "--config", config)
		if slices.Contains(w.cfg.Faults, "disk") {
			spools := filepath.Join(w.dir(name), "spool")
			if err := os.MkdirAll(spools, 0o750); err != nil {
				return err
			}
			if w.small, err = mountSmall(spools, w.cfg.Dir, spoolsMB); err != nil {
				return err
			}
		}
	}
	w.edges = append(w.edges, http)
	p := w.add(name, argv, http)
	p.env = append(p.env, "SITU_REGISTRY_KEY="+adminKey)
	p.points = points
	p.recover = []string{failpoint.SpoolRecover, failpoint.BatchProduce, failpoint.BatchProduced, failpoint.BatchTrim}
	return nil
}

func (w *kafkaWorld) add(name string, argv []string, http string) *process {
	p := &process{name: name, argv: argv, logPath: filepath.Join(w.cfg.Dir, name+".log"), env: []string{"SITU_ADMIN_KEY=" + adminKey},
		clocked: name != "store"} // the engine has no clock but the machine's
	w.all = append(w.all, p)
	if http != "" {
		w.ready = append(w.ready, http)
	}
	return p
}

func (w *kafkaWorld) dir(name string) string     { return filepath.Join(w.cfg.Dir, name) }
func (w *kafkaWorld) program(name string) string { return filepath.Join(w.cfg.Programs, name) }

func (w *kafkaWorld) start(ctx context.Context) error {
	ctx, w.end = context.WithCancel(ctx)
	for _, p := range w.all {
		p.keep(ctx)
	}
	return until(ctx, patience, w.healed)
}

func (w *kafkaWorld) processes() []*process { return w.all }
func (w *kafkaWorld) proxies() []*proxy     { return w.nets }
func (w *kafkaWorld) disk() *disk           { return w.small }
func (w *kafkaWorld) brokers() []broker     { return w.fronts }
func (w *kafkaWorld) socket() string        { return w.store }
func (w *kafkaWorld) api() string           { return w.ready[0] }
func (w *kafkaWorld) gateways() []string    { return w.edges }

// shut lets Kafka stand still.
func (w *kafkaWorld) shut(context.Context) (open func() error, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.kafka.Resume(0)
	}, w.kafka.Pause(0)
}

// victims are all processes, and Kafka. (Mosquitto may lose a second of what it has acknowledged when it is killed, so
// it is only asked to stop: see restartMosquitto.)
func (w *kafkaWorld) victims() (list []victim) {
	for _, p := range w.all {
		list = append(list, victim{name: p.name, p: p, pid: p.pid})
	}
	return append(list, victim{name: "kafka", kill: w.killKafka, stop: w.pauseKafka}, victim{name: "mosquitto", kill: w.restartMosquitto, stop: w.pauseMosquitto})
}

func (w *kafkaWorld) killKafka(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.kafka.Kill(0), w.kafka.Start(0))
}

func (w *kafkaWorld) restartMosquitto(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.mosquitto.Stop(), w.mosquitto.Start())
}

func (w *kafkaWorld) pauseKafka(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.kafka.Pause(0)
	pause(ctx, d)
	return errors.Join(err, w.kafka.Resume(0))
}

func (w *kafkaWorld) pauseMosquitto(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.mosquitto.Pause()
	pause(ctx, d)
	return errors.Join(err, w.mosquitto.Resume())
}

func (w *kafkaWorld) versions() map[string]string {
	list := map[string]string{"kafka": peers.KafkaVersion, "group session": session.String()}
	out, _ := exec.Command("mosquitto", "-h").CombinedOutput() // its exit code is 3
	first, _, _ := strings.Cut(string(out), "\n")
	list["mosquitto"] = strings.TrimPrefix(first, "mosquitto version ")
	return list
}

func (w *kafkaWorld) healed(ctx context.Context) error {
	for _, p := range w.all {
		if p.disturbed() {
			return fmt.Errorf("%s still has a fault before it", p.name)
		}
	}
	for _, addr := range w.ready {
		if err := readyAt(ctx, addr); err != nil {
			return err
		}
	}
	return engine.Ping(ctx, w.store)
}

func (w *kafkaWorld) close() (err error) {
	if w.end != nil {
		w.end()
		for i := range w.all {
			if p := w.all[len(w.all)-1-i]; p.ended != nil {
				err = errors.Join(err, <-p.ended)
			}
		}
	}
	for _, p := range w.nets {
		p.close()
	}
	if w.mosquitto != nil {
		w.mosquitto.Close()
	}
	if w.kafka != nil {
		w.kafka.Close()
	}
	if w.store != "" {
		err = errors.Join(err, os.RemoveAll(filepath.Dir(w.store)))
	}
	return errors.Join(err, w.small.unmount())
}
