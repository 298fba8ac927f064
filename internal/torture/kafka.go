package torture

import (
	"errors"
	"log/slog"
)

// Peers are the servers that the world of Kafka needs.
type Peers struct {
	Kafka string
}

func newKafkaWorld(Config, *slog.Logger) (world, error) { return nil, errors.New("not yet") }
