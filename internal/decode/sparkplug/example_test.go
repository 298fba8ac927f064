package sparkplug_test

import (
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode/sparkplug"
)

func ExampleDecoder_DecodeOn() {
	at := time.UnixMilli(1767225600000)
	birth := sparkplug.Append(nil, sparkplug.Payload{Time: at, HasSeq: true, Metrics: []sparkplug.Metric{
		{Name: "bdSeq", Type: sparkplug.Int64, Number: 1},
		{Name: "Level/Stage", Alias: 11, Type: sparkplug.Float, Number: 10.5, Unit: "m"},
	}})
	data := sparkplug.Append(nil, sparkplug.Payload{Time: at, HasSeq: true, Seq: 1, Metrics: []sparkplug.Metric{
		{Alias: 11, Type: sparkplug.Float, Number: 11.3},
	}})
	d := sparkplug.New()
	for _, m := range []struct {
		topic   string
		payload []byte
	}{{"spBv1.0/river/NBIRTH/pump1", birth}, {"spBv1.0/river/NDATA/pump1", data}} {
		readings, err := d.DecodeOn(nil, m.topic, m.payload)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, r := range readings {
			fmt.Println(r.Serial, r.Key, r.Number, r.Unit)
		}
	}
	// Output:
	// river/pump1 Level/Stage 10.5 m
	// river/pump1 Level/Stage 11.3 m
}
