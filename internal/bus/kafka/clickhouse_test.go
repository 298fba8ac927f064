package kafka

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/pkg/sensor"
)

// TestClickHouseReadsTheMessage: what stands on the topic is an ArrowStream to ClickHouse, as it is.
func TestClickHouseReadsTheMessage(t *testing.T) {
	conn, socket := enginetest.Start(t)
	w := newWorld(t)
	msgs := bustest.Messages(1, 300)
	w.publish(t, sensor.Live, msgs)
	want := w.expect(1, msgs)

	const table = `CREATE TABLE kafka (gateway String, epoch UInt32, lane UInt8, seq UInt64, idx UInt16, datastream UInt64, thing UInt64,
		property UInt16, registry UInt32, phenomenon_time DateTime64(3, 'UTC'), result_time DateTime64(3, 'UTC'),
		arrival_time DateTime64(3, 'UTC'), result Float64, result_text String, lon Int32, lat Int32, cell UInt64, quality UInt16)
		ENGINE = MergeTree ORDER BY (seq, idx)`
	if err := conn.Exec(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	var database string
	if err := conn.QueryRow(t.Context(), "SELECT currentDatabase()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	insert(t, socket, database, w.value(t))

	rows, err := conn.Query(t.Context(), `SELECT gateway, epoch, lane, seq, idx, datastream, thing, property, registry,
		toUnixTimestamp64Milli(phenomenon_time), toUnixTimestamp64Milli(result_time), toUnixTimestamp64Milli(arrival_time),
		result, result_text, lon, lat, cell, quality FROM kafka ORDER BY seq, idx`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var id sensor.Identity
		var o sensor.Observation
		var arrival int64
		if err := rows.Scan(&id.Gateway, &id.Epoch, (*uint8)(&id.Lane), &id.Seq, &id.Idx, (*uint64)(&o.Datastream), (*uint64)(&o.Thing),
			(*uint16)(&o.Property), &o.Registry, &o.PhenomenonTime, &o.ResultTime, &arrival, &o.Result, &o.Text,
			&o.Lon, &o.Lat, (*uint64)(&o.Cell), (*uint16)(&o.Quality)); err != nil {
			t.Fatal(err)
		}
		wantID, wantArrival, wantO := want.Row(n)
		if math.IsNaN(o.Result) && math.IsNaN(wantO.Result) {
			o.Result, wantO.Result = 0, 0
		}
		if id != wantID || arrival != wantArrival || o != wantO {
			t.Fatalf("row %d is\n%+v %d %+v\nwant\n%+v %d %+v", n, id, arrival, o, wantID, wantArrival, wantO)
		}
	}
	if rows.Err() != nil || n != want.Len() {
		t.Fatalf("%d rows of %d, %v", n, want.Len(), rows.Err())
	}
}

// value is the first Kafka message of the live lane's partition, byte for byte.
func (w *world) value(t *testing.T) []byte {
	t.Helper()
	r, err := w.bus.client.Fetch(t.Context(), &kafkago.FetchRequest{
		Topic: testTopic, Partition: int(w.Partition(sensor.Live)), MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait,
	})
	if err != nil || r.Error != nil {
		t.Fatal(err, r)
	}
	rec, err := r.Records.ReadRecord()
	if err != nil {
		t.Fatal(err)
	}
	defer closeRecord(rec)
	v, err := io.ReadAll(rec.Value)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func insert(t *testing.T, socket, database string, value []byte) {
	t.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer tr.CloseIdleConnections()
	q := url.Values{"database": {database}, "query": {"INSERT INTO kafka FORMAT ArrowStream"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://store/?"+q.Encode(), bytes.NewReader(value))
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(fmt.Errorf("%s: %s: %w", res.Status, text, err))
	}
}
