package homeassistant_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/homeassistant"
)

func ExampleProtocol() {
	d, err := homeassistant.Protocol().New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"entity_id":"sensor.outdoor","state":"18.4","attributes":{"unit_of_measurement":"°C"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(readings[0].Key, readings[0].Number, readings[0].Unit)
	// Output: outdoor 18.4 Cel
}
