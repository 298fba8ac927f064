package zigbee2mqtt_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/zigbee2mqtt"
)

func ExampleProtocol() {
	d, err := zigbee2mqtt.Protocol().New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"temperature":18.4,"battery":97}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(readings[0].Key, readings[0].Number, readings[0].Unit)
	// Output: temperature 18.4 Cel
}
