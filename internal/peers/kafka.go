package peers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// KafkaVersion is the server that scripts/kafka fetches.
const KafkaVersion = "4.3.1"

// KafkaOptions of a cluster. The zero value is one broker.
type KafkaOptions struct {
	Brokers    int               // 1 or 3; 0 = 1
	Advertised []string          // what clients are told instead of each broker's own address: proxies
	Addrs      []string          // where the brokers listen; nil = free ports
	Settings   map[string]string // beside those of kafka_config.go, and before them
}

// KafkaCluster is Apache Kafka, brokers numbered from 0; each is controller and broker at once.
type KafkaCluster struct {
	home  string // its jars
	nodes []*kafkaNode
}

type kafkaNode struct {
	id         int
	dir        string
	addr       string // of clients
	advertised string
	internal   string // of the other brokers
	controller string
	run        *process
}

// Kafka starts a cluster for a test. Topics are not made by themselves; whatever is replicated has a copy on each
// broker and, of three, needs two.
func Kafka(t T, brokers int) *KafkaCluster {
	t.Helper()
	return KafkaWith(t, KafkaOptions{Brokers: brokers})
}

// KafkaWith is Kafka with options.
func KafkaWith(t T, o KafkaOptions) *KafkaCluster {
	t.Helper()
	c, err := StartKafka(t.TempDir(), o)
	started(t, err)
	t.Cleanup(c.Close)
	return c
}

// kafkaHome is where scripts/kafka has put the server.
func kafkaHome() (string, error) {
	home := os.Getenv("SITU_KAFKA_HOME")
	if home == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			cache = filepath.Join(os.Getenv("HOME"), ".cache")
		}
		home = filepath.Join(cache, "situ", "kafka-"+KafkaVersion)
	}
	if _, err := os.Stat(filepath.Join(home, "libs")); err != nil {
		return "", fmt.Errorf("%w: no Apache Kafka in %s: run scripts/kafka", ErrAbsent, home)
	}
	if _, err := exec.LookPath("java"); err != nil {
		return "", fmt.Errorf("%w: Apache Kafka needs java (Debian: apt install openjdk-17-jre-headless)", ErrAbsent)
	}
	return home, nil
}

// StartKafka starts a cluster with its data in dir, empty at first, and returns when all brokers know each other.
func StartKafka(dir string, o KafkaOptions) (*KafkaCluster, error) {
	home, err := kafkaHome()
	if err != nil {
		return nil, err
	}
	c := &KafkaCluster{home: home}
	for i := range max(1, o.Brokers) {
		n, err := newKafkaNode(filepath.Join(dir, fmt.Sprintf("kafka-%d", i+1)), i, o)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, n)
	}
	if err = c.format(o); err == nil {
		err = c.startAll()
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return c, nil
}

func newKafkaNode(dir string, i int, o KafkaOptions) (*kafkaNode, error) {
	n := &kafkaNode{id: i + 1, dir: dir}
	addrs := []*string{&n.internal, &n.controller}
	if i < len(o.Addrs) {
		n.addr = o.Addrs[i]
	} else {
		addrs = append(addrs, &n.addr)
	}
	for _, addr := range addrs {
		var err error
		if *addr, err = freeAddr(); err != nil {
			return nil, err
		}
	}
	n.advertised = n.addr
	if i < len(o.Advertised) {
		n.advertised = o.Advertised[i]
	}
	return n, os.MkdirAll(dir, 0o700)
}

// format writes each broker's configuration and prepares its directory.
func (c *KafkaCluster) format(o KafkaOptions) error {
	id := make([]byte, 16)
	rand.Read(id)
	id[0] &^= 0x80 // else its text may begin with a dash, which the tool takes for a flag
	var runs []*process
	for _, n := range c.nodes {
		if err := os.WriteFile(n.config(), c.settings(n, o.Settings), 0o600); err != nil {
			return err
		}
		run, err := c.java(n, "kafka.tools.StorageTool", "format", "--cluster-id", base64.RawURLEncoding.EncodeToString(id), "--config", n.config())
		if err != nil {
			return err
		}
		runs = append(runs, run)
	}
	var err error
	for _, run := range runs {
		<-run.ended
		if !run.cmd.ProcessState.Success() {
			err = fmt.Errorf("format storage: %w; it said:\n%s", run.err, run.said())
		}
	}
	return err
}

// java runs one of the server's classes. A little heap and a little compiling: it lives for a test.
func (c *KafkaCluster) java(n *kafkaNode, class string, args ...string) (*process, error) {
	return launch(filepath.Join(n.dir, "out.log"), "java", append([]string{
		"-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Dlog4j2.configurationFile=" + filepath.Join(c.home, "log4j2.properties"),
		"-cp", filepath.Join(c.home, "libs", "*"), class,
	}, args...)...)
}

func (c *KafkaCluster) startAll() error {
	for i := range c.nodes {
		if err := c.launch(i); err != nil {
			return err
		}
	}
	for i := range c.nodes {
		if err := c.await(i, len(c.nodes)); err != nil {
			return err
		}
	}
	return nil
}

func (c *KafkaCluster) launch(i int) (err error) {
	n := c.nodes[i]
	if n.run != nil {
		return fmt.Errorf("broker %d runs", i)
	}
	n.run, err = c.java(n, "kafka.Kafka", n.config())
	return err
}

// await waits until broker i answers and knows of at least so many.
func (c *KafkaCluster) await(i, brokers int) error {
	n := c.nodes[i]
	t := &kafkago.Transport{MetadataTTL: 50 * time.Millisecond}
	defer t.CloseIdleConnections()
	client := kafkago.Client{Addr: kafkago.TCP(n.addr), Transport: t, Timeout: time.Second}
	return until(n.run, fmt.Sprintf("broker %d", i), func(ctx context.Context) error {
		m, err := client.Metadata(ctx, &kafkago.MetadataRequest{})
		if err != nil {
			return err
		}
		known := false
		for _, b := range m.Brokers {
			known = known || b.ID == n.id
		}
		if !known || len(m.Brokers) < brokers {
			return fmt.Errorf("knows of %d brokers", len(m.Brokers))
		}
		return nil
	})
}

// Addrs are where clients find the brokers: the proxies, where there are any.
func (c *KafkaCluster) Addrs() []string {
	var list []string
	for _, n := range c.nodes {
		list = append(list, n.advertised)
	}
	return list
}

// Own is where broker i itself listens: behind its proxy.
func (c *KafkaCluster) Own(i int) string { return c.nodes[i].addr }

// Data is where broker i keeps its logs, positions and metadata: to be copied, and put back while it does not run.
func (c *KafkaCluster) Data(i int) string { return filepath.Join(c.nodes[i].dir, "data") }

// ID is what broker i is called in Kafka's answers.
func (c *KafkaCluster) ID(i int) int { return c.nodes[i].id }

// Start starts broker i again, on its data and its address, and returns when it answers.
func (c *KafkaCluster) Start(i int) error {
	if err := c.launch(i); err != nil {
		return err
	}
	return c.await(i, 1)
}

// Stop ends broker i as its operator would: it hands over what it leads.
func (c *KafkaCluster) Stop(i int) error { return c.end(i, syscall.SIGTERM) }

// Kill ends broker i at once.
func (c *KafkaCluster) Kill(i int) error { return c.end(i, syscall.SIGKILL) }

func (c *KafkaCluster) end(i int, s syscall.Signal) error {
	n := c.nodes[i]
	if n.run == nil {
		return fmt.Errorf("broker %d does not run", i)
	}
	err := n.run.end(s)
	n.run = nil
	return err
}

// Pause stops broker i's clock: it answers nothing and keeps its connections, until Resume.
func (c *KafkaCluster) Pause(i int) error { return c.signal(i, syscall.SIGSTOP) }

// Resume ends a Pause.
func (c *KafkaCluster) Resume(i int) error { return c.signal(i, syscall.SIGCONT) }

func (c *KafkaCluster) signal(i int, s syscall.Signal) error {
	if c.nodes[i].run == nil {
		return errors.New("it does not run")
	}
	return c.nodes[i].run.signal(s)
}

// Close kills all brokers.
func (c *KafkaCluster) Close() {
	for i, n := range c.nodes {
		if n.run != nil {
			_ = c.Kill(i) // it is over either way
		}
	}
}
