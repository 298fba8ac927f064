package registry

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/gzip"

	"github.com/situ-city/situ/pkg/sensor"
)

// The snapshot file is gzip over lines of JSON:
//
//	{"situ_registry":1,"registry":"<id>","version":N,"things":n,"datastreams":m}
//	{"thing":{...}}        n lines, rising by key
//	{"datastream":{...}}   m lines, rising by id
//	{"crc32c":"<8 hexadecimal digits>"}   CRC-32C of all bytes before this line
//
// It is written beside its name, fsynced and renamed: under its name there is always a whole file.

// ErrSnapshotFile: the file is not a whole snapshot of a format this build knows.
var ErrSnapshotFile = errors.New("not a usable registry snapshot")

const (
	fileFormat = 1
	maxLine    = 1 << 20
)

type fileHeader struct {
	Format      int    `json:"situ_registry"`
	Registry    string `json:"registry"`
	Version     uint64 `json:"version"`
	Things      int    `json:"things"`
	Datastreams int    `json:"datastreams"`
}

type fileLine struct {
	Thing      *sensor.Thing      `json:"thing,omitempty"`
	Datastream *sensor.Datastream `json:"datastream,omitempty"`
	CRC        string             `json:"crc32c,omitempty"`
}

// WriteSnapshot writes s to path, atomically and durably.
func WriteSnapshot(path string, s *Snapshot) (err error) {
	beside := path + ".tmp"
	f, err := os.OpenFile(beside, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write registry snapshot: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write registry snapshot %s: %w", path, err)
			os.Remove(beside)
		}
	}()
	err = errors.Join(encodeSnapshot(f, s), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(beside, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func encodeSnapshot(f io.Writer, s *Snapshot) error {
	z, _ := gzip.NewWriterLevel(f, gzip.BestSpeed) // the level is a valid one
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	out := bufio.NewWriterSize(io.MultiWriter(z, sum), 64<<10)
	lines := json.NewEncoder(out)
	err := lines.Encode(fileHeader{fileFormat, s.id, s.version, s.things.n, s.streams.n})
	for t := range s.ThingsFrom(0) {
		err = errors.Join(err, lines.Encode(fileLine{Thing: t}))
	}
	for d := range s.DatastreamsFrom(0) {
		err = errors.Join(err, lines.Encode(fileLine{Datastream: d}))
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(z).Encode(fileLine{CRC: hexSum(sum)}), z.Close())
}

func hexSum(sum hash.Hash32) string { return fmt.Sprintf("%08x", sum.Sum32()) }

// LoadSnapshot reads what WriteSnapshot wrote. The error wraps ErrSnapshotFile when the content is at fault.
func LoadSnapshot(path string) (*Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load registry snapshot: %w", err)
	}
	defer f.Close()
	s, err := decodeSnapshot(f)
	if err != nil {
		return nil, fmt.Errorf("load registry snapshot %s: %w: %w", path, ErrSnapshotFile, err)
	}
	return s, nil
}

func decodeSnapshot(f io.Reader) (*Snapshot, error) {
	z, err := gzip.NewReader(bufio.NewReaderSize(f, 64<<10))
	if err != nil {
		return nil, err
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	lines := bufio.NewScanner(z)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	next := func(v any) error {
		if !lines.Scan() {
			return errors.Join(lines.Err(), io.ErrUnexpectedEOF)
		}
		return json.Unmarshal(lines.Bytes(), v)
	}
	count := func() { sum.Write(lines.Bytes()); sum.Write([]byte{'\n'}) }

	var h fileHeader
	if err := next(&h); err != nil {
		return nil, err
	}
	if h.Format != fileFormat {
		return nil, fmt.Errorf("format %d, this build knows %d", h.Format, fileFormat)
	}
	count()
	d := emptySnapshot(h.Registry).draft()
	for {
		var line fileLine
		if err := next(&line); err != nil {
			return nil, err
		}
		if line.CRC != "" {
			if line.CRC != hexSum(sum) || d.things.n != h.Things || d.streams.n != h.Datastreams {
				return nil, fmt.Errorf("checksum %s, counted %s; %d Things and %d Datastreams of %d and %d",
					line.CRC, hexSum(sum), d.things.n, d.streams.n, h.Things, h.Datastreams)
			}
			break
		}
		count()
		if err := d.apply(Change{Thing: line.Thing, Datastream: line.Datastream}); err != nil {
			return nil, err
		}
	}
	if lines.Scan() || lines.Err() != nil { // reads gzip's own checksum too
		return nil, errors.Join(errors.New("something follows the last line"), lines.Err())
	}
	return d.finish(h.Version), nil
}
