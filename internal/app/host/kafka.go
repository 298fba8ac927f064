package host

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/kafka"
	"github.com/situ-city/situ/internal/protocol"
)

// Kafka flags, shared by the three separate processes.
type Kafka struct {
	Brokers      []string      `name:"kafka" help:"Kafka brokers, host:port, separated by commas." default:"127.0.0.1:9092" env:"SITU_KAFKA"`
	Topic        string        `name:"kafka-topic" help:"Topic of observations." default:"situ.observations.v1" env:"SITU_KAFKA_TOPIC"`
	Partitions   int           `name:"kafka-partitions" help:"Make the topic with so many partitions if it is not there; 0 = somebody else makes it." default:"0" env:"SITU_KAFKA_PARTITIONS"`
	Replication  int           `name:"kafka-replication" help:"Replicas of a topic made here." default:"3" env:"SITU_KAFKA_REPLICATION"`
	Session      time.Duration `name:"kafka-session" help:"An ingester that is silent for so long is taken for dead, and another takes over; at least 12s." default:"30s" env:"SITU_KAFKA_SESSION"`
	ShortSession bool          `name:"kafka-short-session" hidden:"" help:"Allow a --kafka-session that is too short for exactly once when Kafka, store and network fail together: for tests." env:"SITU_KAFKA_SHORT_SESSION"`
	KafkaTLS     bool          `name:"kafka-tls" help:"Speak TLS to the brokers." env:"SITU_KAFKA_TLS"`
	CA           string        `name:"kafka-ca" help:"Their certificate authority (PEM); default: the system's." type:"path" env:"SITU_KAFKA_CA"`
	User         string        `name:"kafka-user" help:"SASL PLAIN user." env:"SITU_KAFKA_USER"`
	PasswordFile string        `name:"kafka-password-file" help:"File with its password." type:"path" env:"SITU_KAFKA_PASSWORD_FILE"`
	Accept       string        `name:"kafka-accept" help:"Readers: begin with the log that goes by this name, after a topic was made anew or went backwards. They stop and print the name when it is needed." env:"SITU_KAFKA_ACCEPT"`
	Skip         []string      `name:"kafka-skip" help:"Readers: messages to pass over that nobody can read, as partition:offset, separated by commas." env:"SITU_KAFKA_SKIP"`

	Began int `kong:"-"` // partitions the topic had when this gateway began to publish; 0 = it begins now
}

// Check names settings that disagree.
func (k *Kafka) Check() error {
	far := slices.ContainsFunc(k.Brokers, func(b string) bool { return !Loopback(b) })
	switch {
	case (k.User == "") != (k.PasswordFile == ""):
		return fmt.Errorf("%w: --kafka-user and --kafka-password-file belong together", ErrConfig)
	case k.CA != "" && !k.KafkaTLS:
		return fmt.Errorf("%w: --kafka-ca says nothing without --kafka-tls", ErrConfig)
	case k.User != "" && far && !k.KafkaTLS:
		return fmt.Errorf("%w: a password for brokers on other machines needs --kafka-tls", ErrConfig)
	case k.Session < 0 || k.Session > 0 && k.Session < time.Second:
		return fmt.Errorf("%w: --kafka-session %s is below a second", ErrConfig, k.Session)
	case k.Session > 0 && k.Session < protocol.ShortestSession && !k.ShortSession:
		return fmt.Errorf("%w: --kafka-session %s is below %s: what an ingester sent to the store may be on its way for %s, and whoever takes over "+
			"sooner may meet it and store a block twice", ErrConfig, k.Session, protocol.ShortestSession, protocol.Lease)
	case k.Partitions < 0 || k.Replication < 1:
		return fmt.Errorf("%w: --kafka-partitions %d, --kafka-replication %d", ErrConfig, k.Partitions, k.Replication)
	}
	if _, err := k.accept(); err != nil {
		return err
	}
	if _, err := k.skip(); err != nil {
		return err
	}
	for _, b := range k.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return fmt.Errorf("%w: --kafka: %w", ErrConfig, err)
		}
	}
	return nil
}

// Open prepares the client; it does not connect yet.
func (k *Kafka) Open(client string, logger *slog.Logger) (*kafka.Bus, error) {
	cfg := kafka.Config{Brokers: k.Brokers, Topic: k.Topic, ClientID: client, User: k.User, SessionTimeout: k.Session, Logger: logger, Partitions: k.Began}
	var err error
	if cfg.Accept, err = k.accept(); err != nil {
		return nil, err
	}
	if cfg.Skip, err = k.skip(); err != nil {
		return nil, err
	}
	if k.PasswordFile != "" {
		b, err := os.ReadFile(k.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("%w: --kafka-password-file: %w", ErrRefused, err)
		}
		cfg.Password = strings.TrimRight(string(b), "\r\n")
	}
	if k.KafkaTLS {
		pool, err := Authorities("kafka-ca", k.CA)
		if err != nil {
			return nil, err
		}
		cfg.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return kafka.Open(cfg)
}

// accept reads --kafka-accept.
func (k *Kafka) accept() (id bus.LogID, err error) {
	if k.Accept == "" {
		return id, nil
	}
	b, err := hex.DecodeString(k.Accept)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%w: --kafka-accept %q: want the 32 hexadecimal digits that ingesters and query print when they stop", ErrConfig, k.Accept)
	}
	return bus.LogID(b), nil
}

// skip reads --kafka-skip.
func (k *Kafka) skip() (map[kafka.Place]bool, error) {
	skip := map[kafka.Place]bool{}
	for _, s := range k.Skip {
		partition, offset, _ := strings.Cut(s, ":")
		p, perr := strconv.ParseInt(partition, 10, 32)
		o, oerr := strconv.ParseInt(offset, 10, 64)
		if perr != nil || oerr != nil || p < 0 || o < 0 {
			return nil, fmt.Errorf("%w: --kafka-skip %q: want partition:offset", ErrConfig, s)
		}
		skip[kafka.Place{Partition: int32(p), Offset: o}] = true
	}
	return skip, nil
}

// Ensure makes the topic if it was asked for, waiting for Kafka as long as it takes.
func (k *Kafka) Ensure(ctx context.Context, b *kafka.Bus) error {
	if k.Partitions == 0 {
		return nil
	}
	return b.EnsureTopic(ctx, k.Partitions, k.Replication)
}

// Authorities reads a file of certificates; nil, the system's, when there is none. flag names the setting.
func Authorities(flag, path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: --%s: %w", ErrRefused, flag, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: --%s: %s holds no certificate", ErrRefused, flag, path)
	}
	return pool, nil
}
