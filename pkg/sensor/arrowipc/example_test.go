package arrowipc_test

import (
	"fmt"

	"github.com/situ-city/situ/pkg/sensor"
	"github.com/situ-city/situ/pkg/sensor/arrowipc"
)

func Example() {
	p := sensor.Producer{Gateway: "gw-1", Epoch: 1, Lane: sensor.Live}
	var sent sensor.Batch
	sent.Add(p, 7, &sensor.Message{Arrival: 1_760_000_000_000, Observations: []sensor.Observation{{Result: 21.5}, {Result: 40}}})
	sent.Add(p, 8, &sensor.Message{Arrival: 1_760_000_000_100, Empty: sensor.ReasonHeartbeat})

	enc, err := arrowipc.NewEncoder()
	if err != nil {
		panic(err)
	}
	value, err := enc.Append(nil, p, &sent)
	if err != nil {
		panic(err)
	}

	dec, err := arrowipc.NewDecoder()
	if err != nil {
		panic(err)
	}
	var got sensor.Batch
	for range 2 { // the second time it is a repeat
		if err := dec.Decode(&got, p, 7, 8, value); err != nil {
			panic(err)
		}
	}
	fmt.Println(got.Messages, "messages,", got.Result, got.Empties[0].Reason, "and", got.Duplicates, "repeated")
	// Output: 2 messages, [21.5 40] heartbeat and 2 repeated
}
