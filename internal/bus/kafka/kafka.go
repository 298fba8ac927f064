// Package kafka is the bus at scale: Apache Kafka (2.8 or newer, classic group protocol) through segmentio/kafka-go
// (step 5 of 8). One Kafka message holds a range of one producer's messages (docs/formats/bus-message.md); an offset
// is a Kafka offset.
//
// Publisher: acks=all, no idempotent producer: whoever gets an error sends the same again, and readers drop repeats
// by (gateway, epoch, lane) -> seq. Log: reads at given offsets, never seeks; an offset out of range stops. Group:
// partitions by consumer group, positions with metadata committed under the group's generation, so that a zombie is
// refused. Errors that pass (a leader moves, a broker is away) are waited out and logged; all others are returned.
//
// Callers: internal/batch publishes; internal/ingester and internal/livestate read. It keeps nothing on disk.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/pkg/sensor"
)

// Topic of observations.
const Topic = "situ.observations.v1"

// Defaults of Config.
const (
	DefaultTimeout         = 20 * time.Second
	DefaultMaxMessageBytes = 900 << 10
	DefaultSessionTimeout  = 30 * time.Second
)

// Config of the connection. Zero values mean the defaults above.
type Config struct {
	Brokers  []string // host:port; any of the cluster
	Topic    string   // "" = Topic
	ClientID string   // "" = "situ"
	TLS      *tls.Config
	User     string // SASL PLAIN when not empty; use it with TLS
	Password string

	Timeout          time.Duration // of one request
	MaxMessageBytes  int           // a range whose message is larger is refused with bus.ErrTooLarge
	SessionTimeout   time.Duration // after which a silent member of a group is taken for dead
	RebalanceTimeout time.Duration // within which a living member must let go of its partitions; 0 = SessionTimeout, at least 30 s
	Logger           *slog.Logger  // nil = silent

	// Partitions is how many the topic had when this publisher began; 0 = it begins now. Should it get more, a producer's
	// messages still go where the earlier ones went: their order, and the recognition of repeats, hold inside a partition.
	Partitions int
	Accept     bus.LogID      // a log made anew, or renamed, that may be begun with: its commits for an earlier one count for nothing
	Skip       map[Place]bool // messages to pass over
}

// Place is one message's on a topic.
type Place struct {
	Partition int32
	Offset    int64
}

// Bus implements bus.Log and bus.Publisher; Group gives consumers.
type Bus struct {
	cfg       Config
	log       *slog.Logger
	client    *kafkago.Client
	transport *kafkago.Transport
	dialer    *dialer

	pub   publisher
	names namesakes

	mu       sync.Mutex // guards the fields below
	parts    int        // the topic's number of partitions, once known; for publishing it never changes
	told     int        // the greater number that was told of
	id       bus.LogID  // the topic's, as it was seen first
	idAt     time.Time  // and when it last was the same
	renamed  int        // how often its log went backwards, and was gone on with under another name
	fetchers []*fetcher // idle
	trails   map[int32]*trail
}

var (
	_ bus.Log       = (*Bus)(nil)
	_ bus.Publisher = (*Bus)(nil)
)

// Open prepares the client; it does not connect yet.
func Open(cfg Config) (*Bus, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("kafka: no brokers")
	}
	if cfg.Topic == "" {
		cfg.Topic = Topic
	}
	if cfg.ClientID == "" {
		cfg.ClientID = "situ"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = DefaultMaxMessageBytes
	}
	if cfg.SessionTimeout == 0 {
		cfg.SessionTimeout = DefaultSessionTimeout
	}
	if cfg.RebalanceTimeout == 0 {
		cfg.RebalanceTimeout = max(cfg.SessionTimeout, DefaultSessionTimeout) // who is dead is given up sooner; who lives is finishing a block
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	d := &dialer{Dialer: net.Dialer{Timeout: 3 * time.Second}}
	t := &kafkago.Transport{
		Dial: d.dial, ClientID: cfg.ClientID, TLS: cfg.TLS, MetadataTopics: []string{cfg.Topic}, MetadataTTL: 3 * time.Second,
	}
	if cfg.User != "" {
		t.SASL = plain.Mechanism{Username: cfg.User, Password: cfg.Password}
	}
	b := &Bus{
		cfg: cfg, log: cfg.Logger.With("component", "bus", "topic", cfg.Topic), transport: t, dialer: d, parts: cfg.Partitions,
		trails: map[int32]*trail{},
		client: &kafkago.Client{Addr: kafkago.TCP(cfg.Brokers...), Timeout: cfg.Timeout, Transport: t},
	}
	b.names.log = b.log
	if err := b.pub.init(); err != nil {
		return nil, err
	}
	return b, nil
}

// Close lets the connections go. Consumers must have ended.
func (b *Bus) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// EnsureTopic makes the topic if it is not there. An existing one is taken as it is. Messages may be far larger than
// a broker's default allows (a single situ message is never cut), and acks=all means two replicas where there are.
func (b *Bus) EnsureTopic(ctx context.Context, partitions, replication int) error {
	cfg := kafkago.TopicConfig{
		Topic: b.cfg.Topic, NumPartitions: partitions, ReplicationFactor: replication,
		ConfigEntries: []kafkago.ConfigEntry{
			{ConfigName: "max.message.bytes", ConfigValue: "33554432"},
			{ConfigName: "min.insync.replicas", ConfigValue: fmt.Sprint(min(2, max(1, replication)))},
			{ConfigName: "compression.type", ConfigValue: "producer"},
		},
	}
	return b.retry(ctx, "create topic", func(ctx context.Context) error {
		r, err := b.client.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{cfg}})
		if err == nil {
			err = r.Errors[b.cfg.Topic]
		}
		if errors.Is(err, kafkago.TopicAlreadyExists) {
			return nil
		}
		return err
	})
}

// PartitionOf tells where a producer's messages go when the topic has n partitions: the last n/4 (at least one, if
// there are two) are backfill's, so that days of it never stand before what the map waits for.
func PartitionOf(p sensor.Producer, n int) int32 {
	if n < 2 {
		return 0
	}
	backfill := uint64(max(1, n/4))
	live := uint64(n) - backfill
	h := xxhash.Sum64String(p.Gateway)
	if p.Lane == sensor.Backfill {
		return int32(live + h%backfill)
	}
	return int32(h % live)
}

// partitions asks how many there are: now, and when this Bus began. Kafka lets their number grow and never shrink.
func (b *Bus) partitions(ctx context.Context) (now, began int, err error) {
	m, err := b.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{b.cfg.Topic}})
	if err != nil {
		return 0, 0, err
	}
	if len(m.Topics) != 1 {
		return 0, 0, fmt.Errorf("metadata of %d topics", len(m.Topics))
	}
	if err := m.Topics[0].Error; err != nil {
		return 0, 0, err
	}
	now = len(m.Topics[0].Partitions)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.parts == 0 {
		b.parts = now
	}
	if now < b.parts || now == 0 {
		return 0, 0, fmt.Errorf("topic %s had %d partitions and has %d: %w", b.cfg.Topic, b.parts, now, errPartitions)
	}
	if now > max(b.parts, b.told) {
		b.told = now
		b.log.Warn("the topic has more partitions than when this process began; what it publishes keeps to the first ones, so that it stays "+
			"in order. To spread the load make a new topic instead", "partitions", now, "keeps", b.parts)
	}
	return now, b.parts, nil
}

// errPartitions: it is another topic than the one this process knew.
var errPartitions = errors.New("a topic never loses partitions, so it was made anew: make it with as many as before")
