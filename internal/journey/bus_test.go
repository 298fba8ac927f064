package journey

import (
	"context"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/inproc"
	"github.com/situ-city/situ/internal/bus/kafka"
	"github.com/situ-city/situ/pkg/sensor"
	"github.com/situ-city/situ/pkg/sensor/arrowipc"
)

// logID stands for the spool's random one.
var logID = bus.LogID{0x5e, 0x11, 15: 0x01}

// bus is step 5, in both worlds: the spool read in process, and the same messages through Kafka as Arrow.
func (j *journey) bus() {
	j.Helper()
	log := j.inproc()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, kafka.Topic))
	j.check(err)
	j.Cleanup(cluster.Close)
	k, err := kafka.Open(kafka.Config{Brokers: cluster.ListenAddrs()})
	j.check(err)
	defer func() { j.check(k.Close()) }()
	var keys, headers, columns strings.Builder
	for _, lane := range j.lanes() {
		b := new(sensor.Batch)
		_, err := log.Fetch(j.Context(), int32(lane), 1, 0, 0, b)
		j.check(err)
		j.batches[lane] = b
		p := j.spools[lane].Producer()
		j.check(k.Publish(j.Context(), logID, p, 1, 1, b))
		part := kafka.PartitionOf(p, 4)
		m := j.consume(cluster.ListenAddrs()[0], int(part))
		fmt.Fprintf(&keys, "partition %d of 4: %s\n", part, m.Key)
		for _, h := range m.Headers {
			value := string(h.Value)
			if h.Key == "crc" && value == fmt.Sprintf("%08x", crc32.Checksum(m.Value, crc32.MakeTable(crc32.Castagnoli))) {
				value = "(CRC-32C of the value)" // it moves with the compressor
			}
			fmt.Fprintf(&headers, "%s %s\n", h.Key, value)
		}
		j.columns(&columns, p, m.Value, b)
	}
	j.text("bus.key", keys.String())
	j.text("bus.headers", headers.String())
	j.text("bus.columns", columns.String())
}

func (j *journey) inproc() *inproc.Bus {
	j.Helper()
	cfg := inproc.Config{Dir: filepath.Join(j.TempDir(), "bus"), Groups: []string{"ingest"}}
	for _, s := range j.spools {
		cfg.Spools = append(cfg.Spools, s)
	}
	b, err := inproc.Open(cfg)
	j.check(err)
	j.Cleanup(func() { j.check(b.Close()) })
	return b
}

// consume reads the newest message of a partition.
func (j *journey) consume(broker string, part int) kafkago.Message {
	j.Helper()
	ctx, cancel := context.WithTimeout(j.Context(), 20*time.Second)
	defer cancel()
	c, err := kafkago.DialLeader(ctx, "tcp", broker, kafka.Topic, part)
	j.check(err)
	defer c.Close()
	j.check(c.SetDeadline(time.Now().Add(20 * time.Second)))
	m, err := c.ReadMessage(2 << 20)
	j.check(err)
	return m
}

// columns describes the Arrow value after it was read back, and holds it against what went in.
func (j *journey) columns(out *strings.Builder, p sensor.Producer, value []byte, want *sensor.Batch) {
	j.Helper()
	d, err := arrowipc.NewDecoder()
	j.check(err)
	got := new(sensor.Batch)
	j.check(d.Decode(got, p, 1, 1, value))
	for i := range got.Len() {
		id, arrival, o := got.Row(i)
		if id2, arrival2, o2 := want.Row(i); id != id2 || arrival != arrival2 || fmt.Sprint(o) != fmt.Sprint(o2) {
			j.Errorf("row %d is %v %v %v after Kafka, and was %v %v %v", i, id, arrival, o, id2, arrival2, o2)
		}
	}
	if !reflect.DeepEqual(got.DeadLetters, want.DeadLetters) || len(got.Declarations) != len(want.Declarations) || got.Len() != want.Len() {
		j.Errorf("what is not a row is %+v after Kafka, and was %+v", got.DeadLetters, want.DeadLetters)
	}
	fmt.Fprintf(out, "Arrow IPC stream, %d rows\n", got.Len())
	list := func(name string, each func(i int) any) {
		fmt.Fprintf(out, "%-16s", name)
		for i := range got.Len() {
			fmt.Fprintf(out, " %v", each(i))
		}
		out.WriteByte('\n')
	}
	if got.Len() > 0 {
		list("gateway", func(i int) any { return got.Producers[got.Producer[i]].Gateway })
		list("epoch", func(i int) any { return got.Producers[got.Producer[i]].Epoch })
		list("lane", func(i int) any { return uint8(got.Producers[got.Producer[i]].Lane) })
		list("seq", func(i int) any { return got.Seq[i] })
		list("idx", func(i int) any { return got.Idx[i] })
		list("datastream", func(i int) any { return uint64(got.Datastream[i]) })
		list("thing", func(i int) any { return uint64(got.Thing[i]) })
		list("property", func(i int) any { return got.Property[i] })
		list("registry", func(i int) any { return got.Registry[i] })
		list("phenomenon_time", func(i int) any { return clock(got.PhenomenonTime[i]) })
		list("result_time", func(i int) any { return clock(got.ResultTime[i]) })
		list("arrival_time", func(i int) any { return clock(got.ArrivalTime[i]) })
		list("result", func(i int) any { return got.Result[i] })
		list("result_text", func(i int) any { return fmt.Sprintf("%q", got.Text[i]) })
		list("lon", func(i int) any { return got.Lon[i] })
		list("lat", func(i int) any { return got.Lat[i] })
		list("cell", func(i int) any { return uint64(got.Cell[i]) })
		list("quality", func(i int) any { return uint16(got.Quality[i]) })
	}
	if n, m := len(got.DeadLetters), len(got.Declarations); n+m > 0 {
		fmt.Fprintf(out, "situ.rest: %d dead letters, %d declarations\n", n, m)
	}
}
