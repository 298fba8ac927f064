package peers

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	kafkago "github.com/segmentio/kafka-go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestOneVersion: the server that is tested is the one that docker-compose.yml runs.
func TestOneVersion(t *testing.T) {
	for file, want := range map[string]string{"scripts/kafka": "\nversion=" + KafkaVersion + " ", "docker-compose.yml": "image: apache/kafka:" + KafkaVersion + "\n"} {
		b, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %q", file, want)
		}
	}
}

func TestAbsent(t *testing.T) {
	t.Setenv("SITU_KAFKA_HOME", t.TempDir())
	if _, err := StartKafka(t.TempDir(), KafkaOptions{}); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "run scripts/kafka") {
		t.Error(err)
	}
}

// TestABrokenConfigurationIsTold: the server's own words reach whoever started it.
func TestABrokenConfigurationIsTold(t *testing.T) {
	_, err := StartMosquitto(t.TempDir(), "no_such_setting true")
	if errors.Is(err, ErrAbsent) {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Error(err)
	}
}

// TestKafkaKeepsItsData: stopped or killed, a broker comes back with what it had, at the same address.
func TestKafkaKeepsItsData(t *testing.T) {
	c := Kafka(t, 1)
	tr := &kafkago.Transport{MetadataTTL: 100 * time.Millisecond}
	defer tr.CloseIdleConnections()
	client := kafkago.Client{Addr: kafkago.TCP(c.Addrs()...), Transport: tr, Timeout: 30 * time.Second}
	made, err := client.CreateTopics(t.Context(), &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{Topic: "kept", NumPartitions: 3, ReplicationFactor: 1}}})
	if err != nil || made.Errors["kept"] != nil {
		t.Fatal(err, made)
	}
	for name, end := range map[string]func(int) error{"stop": c.Stop, "kill": c.Kill} {
		if err := end(0); err != nil {
			t.Fatal(name, err)
		}
		if err := c.Start(0); err != nil {
			t.Fatal(name, err)
		}
		m, err := client.Metadata(t.Context(), &kafkago.MetadataRequest{Topics: []string{"kept"}})
		if err != nil || len(m.Topics) != 1 || len(m.Topics[0].Partitions) != 3 {
			t.Fatalf("after %s: %+v, %v", name, m, err)
		}
	}
}

// TestMosquittoKeepsItsData: what a subscriber was not there for waits for it, over the broker's restart.
func TestMosquittoKeepsItsData(t *testing.T) {
	m := Mosquitto(t, "")
	connect := func(id string) paho.Client {
		t.Helper()
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + m.Addr()).SetClientID(id).SetCleanSession(false).SetAutoReconnect(false))
		wait(t, c.Connect())
		return c
	}
	reader := connect("reader")
	wait(t, reader.Subscribe("a", 1, nil))
	reader.Disconnect(100)
	writer := connect("writer")
	wait(t, writer.Publish("a", 1, false, "kept"))
	writer.Disconnect(100)
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	reader = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + m.Addr()).SetClientID("reader").SetCleanSession(false).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ paho.Client, msg paho.Message) { got <- string(msg.Payload()) }))
	wait(t, reader.Connect())
	defer reader.Disconnect(100)
	select {
	case s := <-got:
		if s != "kept" {
			t.Error(s)
		}
	case <-time.After(time.Minute):
		t.Error("nothing came")
	}
}

func wait(t *testing.T, tok paho.Token) {
	t.Helper()
	if !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
		t.Fatal("no answer", tok.Error())
	}
}
