package opensensemap_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/opensensemap"
)

func ExampleProtocol() {
	d, err := opensensemap.Protocol().New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"sensors":[{"title":"Luftdruck","unit":"Pa","lastMeasurement":{"value":"96937.66"}}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(readings[0].Key, readings[0].Number, readings[0].Unit)
	// Output: Luftdruck 96937.66 Pa
}
