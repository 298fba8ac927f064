package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/situ-city/situ/pkg/sensor"
)

// Sizes of docs/formats/spool.md.
const (
	magic        = "SITUSPL" // and the format as a digit
	format       = 2         // written; records have a class
	formatOld    = 1         // read too; its records have none, and are never removed
	headerSize   = 64
	recordHeader = 8
	markSize     = 16
	suffix       = ".seg"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// segment is one file; its fields are guarded by Spool.segMu.
type segment struct {
	path  string
	first uint64 // seq of the first record
	next  uint64 // seq after the last durable record
	size  int64  // durable bytes
	index []place

	format byte
	made   int64 // Unix ms
	held   [numClasses]Held
	poor   [numClasses]bool // removing the class was tried: it would free nothing
}

// numClasses is the number of owner classes, ClassUnknown among them.
const numClasses = byte(sensor.Enterprise) + 1

// Held is what a spool holds of one owner class.
type Held struct {
	Messages uint64
	Bytes    int64
}

// place says that record seq (or the mark before it) begins at offset off.
type place struct {
	seq uint64
	off int64
}

// indexEvery is about how far apart noted places are: what a reader has to walk to reach any record.
const indexEvery = 128 << 10

func (g *segment) note(seq uint64, off int64) {
	if n := len(g.index); n == 0 || off-g.index[n-1].off >= indexEvery {
		g.index = append(g.index, place{seq, off})
	}
}

// before gives the last noted place not behind seq.
func (g *segment) before(seq uint64) place {
	p := place{g.first, headerSize}
	lo, hi := 0, len(g.index)
	for lo < hi {
		mid := (lo + hi) / 2
		if g.index[mid].seq <= seq {
			p, lo = g.index[mid], mid+1
		} else {
			hi = mid
		}
	}
	return p
}

// header is the first 64 bytes of a segment.
type header struct {
	Format byte
	LogID  [16]byte
	Epoch  uint32
	Lane   sensor.Lane
	First  uint64
	Made   int64 // Unix ms
}

func (h header) append(dst []byte) []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	b[7] = '0' + h.Format
	copy(b[8:], h.LogID[:])
	binary.LittleEndian.PutUint32(b[24:], h.Epoch)
	b[28] = byte(h.Lane)
	binary.LittleEndian.PutUint64(b[32:], h.First)
	binary.LittleEndian.PutUint64(b[40:], uint64(h.Made))
	binary.LittleEndian.PutUint32(b[60:], checksum(b[:60]))
	return append(dst, b...)
}

var errHeader = errors.New("segment header is broken, or the file is no segment of situ's")

func parseHeader(b []byte) (h header, err error) {
	if len(b) < headerSize || string(b[:7]) != magic || binary.LittleEndian.Uint32(b[60:]) != checksum(b[:60]) {
		return h, errHeader
	}
	h.Format = b[7] - '0'
	if h.Format != format && h.Format != formatOld {
		return h, fmt.Errorf("%w: segment format %d, this one knows %d and %d; run the situ that wrote it", ErrVersion, h.Format, formatOld, format)
	}
	copy(h.LogID[:], b[8:])
	h.Epoch = binary.LittleEndian.Uint32(b[24:])
	h.Lane = sensor.Lane(b[28])
	h.First = binary.LittleEndian.Uint64(b[32:])
	h.Made = int64(binary.LittleEndian.Uint64(b[40:]))
	return h, nil
}

func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, suffix) }

func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0
}

// listSegments gives the first seqs of the segments in dir, ascending.
func listSegments(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir) // sorted by name, hence by seq
	if err != nil {
		return nil, err
	}
	var firsts []uint64
	for _, e := range entries {
		if first, ok := parseSegmentName(e.Name()); ok {
			firsts = append(firsts, first)
		}
	}
	return firsts, nil
}

// createSegment makes the file, durable with its header and its name before any record goes into it: so a file
// with a broken header holds nothing that was ever acknowledged, unless it is longer than the header.
func (s *Spool) createSegment(first uint64) (file, *segment, error) {
	path := s.path(segmentName(first))
	f, err := s.fs.create(path)
	if err != nil {
		return nil, nil, err
	}
	h := header{Format: format, LogID: s.logID, Epoch: s.producer.Epoch, Lane: s.producer.Lane, First: first, Made: s.cfg.Clock().UnixMilli()}
	if _, err = f.WriteAt(h.append(nil), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = s.fs.syncDir(s.cfg.Dir)
	}
	if err != nil {
		_ = f.Close()
		_ = s.fs.remove(path)
		return nil, nil, err
	}
	return f, &segment{path: path, first: first, next: first, size: headerSize, format: format, made: h.Made}, nil
}

// readHeader reads and parses the header of the open file f. A short file gives errHeader.
func readHeader(f io.ReaderAt) (header, error) {
	b := make([]byte, headerSize)
	if n, err := f.ReadAt(b, 0); err != nil && !(errors.Is(err, io.EOF) && n < headerSize) {
		return header{}, err
	} else if n < headerSize {
		return header{}, errHeader
	}
	return parseHeader(b)
}

// putMark writes the mark that begins a commit: "whatever stands before this offset has been synced".
func putMark(b []byte, log [16]byte, seq uint64, off int64) {
	binary.LittleEndian.PutUint32(b, 0)
	binary.LittleEndian.PutUint32(b[4:], markSum(log, seq, off))
	binary.LittleEndian.PutUint64(b[8:], seq)
}

// markSum covers the log's random id and the mark's place, so that no payload can look like a mark.
func markSum(log [16]byte, seq uint64, off int64) uint32 {
	var b [32]byte
	copy(b[:], log[:])
	binary.LittleEndian.PutUint64(b[16:], seq)
	binary.LittleEndian.PutUint64(b[24:], uint64(off))
	return checksum(b[:])
}

func isMark(b []byte, log [16]byte, off int64) bool {
	return len(b) >= markSize && binary.LittleEndian.Uint32(b) == 0 &&
		binary.LittleEndian.Uint32(b[4:]) == markSum(log, binary.LittleEndian.Uint64(b[8:]), off)
}
