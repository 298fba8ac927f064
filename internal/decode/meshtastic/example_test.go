package meshtastic_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/meshtastic"
)

func ExampleProtocol() {
	d, err := meshtastic.Protocol().New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"from":3735928559,"type":"telemetry","timestamp":1767240000,"payload":{"voltage":4.1}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(readings[0].Key, readings[0].Number, readings[0].Unit)
	// Output: voltage 4.1 V
}
