package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// probe publishes single readings of one Thing far from all others and looks for each where users look.
type probe struct {
	j    *Journey
	conn net.Conn
	n    int

	cell, tile, sql []float64 // milliseconds
}

// probeCell and probeTile hold the probe Thing alone: resolution 9 and zoom 12 around 107.9 E, 31.9 N.
const probeThing = "bench/probe"

func newProbe(j *Journey) (*probe, error) {
	c, err := net.Dial("tcp", j.mqtt)
	if err != nil {
		return nil, err
	}
	if err := connect(c, "situ-bench-probe", "", ""); err != nil {
		return nil, err
	}
	return &probe{j: j, conn: c}, nil
}

func (p *probe) close() { _ = p.conn.Close() }

// shoot publishes one reading with a value of its own and waits until the live Thing, the tile and SQL show it.
func (p *probe) shoot(ctx context.Context) error {
	p.n++
	value := fmt.Sprintf("%.1f", 100+float64(p.n%5000)/10)
	at := time.Now()
	topic := "situ/v1/" + probeThing + "/json"
	body := binary.BigEndian.AppendUint16(nil, uint16(len(topic)))
	body = append(body, topic...)
	body = binary.BigEndian.AppendUint16(body, uint16(p.n%65535)+1)
	body = fmt.Appendf(body, `{"t":%d,"pm2_5":%s}`, at.UnixMilli(), value)
	packet := append(binary.AppendUvarint([]byte{0x32}, uint64(len(body))), body...)
	if _, err := p.conn.Write(packet); err != nil {
		return err
	}
	var ack [4]byte
	if _, err := io.ReadFull(p.conn, ack[:]); err != nil {
		return err
	}
	steps := []struct {
		into *[]float64
		seen func(context.Context, string) (bool, error)
	}{{&p.cell, p.inThing}, {&p.tile, p.inTile}, {&p.sql, p.inSQL}}
	for _, s := range steps {
		for {
			ok, err := s.seen(ctx, value)
			if err != nil {
				return err
			}
			if ok {
				break
			}
			if time.Since(at) > 30*time.Second {
				return fmt.Errorf("probe %d is not to be seen after 30 s", p.n)
			}
			if err := pause(ctx, 2*time.Millisecond); err != nil {
				return err
			}
		}
		*s.into = append(*s.into, float64(time.Since(at).Microseconds())/1000)
	}
	return nil
}

func (p *probe) inThing(ctx context.Context, value string) (bool, error) {
	res, err := p.j.do(ctx, http.MethodGet, "/v1/things/"+probeThing, nil)
	if err != nil {
		return false, err
	}
	var doc struct{ Latest *struct{ Result float64 } }
	if err := decodeJSON(res, &doc); err != nil || doc.Latest == nil {
		return false, err
	}
	return fmt.Sprintf("%.1f", doc.Latest.Result) == value, nil
}

// inTile looks for the value among the doubles of the tile that holds the probe Thing.
func (p *probe) inTile(ctx context.Context, value string) (bool, error) {
	res, err := p.j.do(ctx, http.MethodGet, "/tiles/pm2_5/12/3275/1664.mvt", nil)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return false, err
	}
	var v float64
	if _, err := fmt.Sscan(value, &v); err != nil {
		return false, err
	}
	return bytes.Contains(b, doubleBytes(v)) || bytes.Contains(b, floatBytes(v)), nil
}

func (p *probe) inSQL(ctx context.Context, value string) (bool, error) {
	res, err := p.j.do(ctx, http.MethodPost, "/v1/sql?format=tsv", strings.NewReader(
		"SELECT count() AS n FROM history WHERE thing = '"+probeThing+"' AND result = "+value))
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	lines := strings.Fields(string(b))
	return len(lines) > 0 && lines[len(lines)-1] != "0" && lines[len(lines)-1] != "n", err
}

func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// doubleBytes and floatBytes are a number as it stands in a tile (protobuf, little endian).
func doubleBytes(v float64) []byte { return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)) }
func floatBytes(v float64) []byte {
	return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v)))
}
