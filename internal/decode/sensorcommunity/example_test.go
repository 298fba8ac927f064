package sensorcommunity_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/sensorcommunity"
)

func ExampleProtocol() {
	d, err := sensorcommunity.Protocol().New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"esp8266id":"1","sensordatavalues":[{"value_type":"SDS_P1","value":"12.40"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(readings[0].Key, readings[0].Number, readings[0].Unit)
	// Output: SDS_P1 12.4 ug/m3
}
