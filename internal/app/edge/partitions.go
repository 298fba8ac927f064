package edge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/situ-city/situ/internal/app/host"
)

// A gateway's messages go to one partition a lane, chosen by the number of partitions. Should the topic get more of them,
// a message that is sent again after a restart would go elsewhere than the first time, where nobody could tell that it
// is a repeat. So the number is kept, from before the first message on: one line, `<topic> <partitions>`.
const partitionsFile = "kafka-partitions"

// readPartitions gives the number that this gateway began with, 0 if it never published to this topic.
func readPartitions(dir, topic string) (n int, err error) {
	path := filepath.Join(dir, partitionsFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", host.ErrRefused, err)
	}
	var of string
	if k, err := fmt.Sscanf(string(b), "%s %d\n", &of, &n); k != 2 || err != nil || n < 1 {
		return 0, fmt.Errorf("%w: %s holds %.80q, want a topic and the partitions it had when this gateway began: write it anew, "+
			"or, if the number never changed, remove it", host.ErrRefused, path, b)
	}
	if of != topic {
		return 0, nil // another topic, another number
	}
	return n, nil
}

// writePartitions notes the number, durably.
func writePartitions(dir, topic string, n int) error {
	path := filepath.Join(dir, partitionsFile)
	f, err := os.CreateTemp(dir, partitionsFile+".*")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %d\n", topic, n)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
