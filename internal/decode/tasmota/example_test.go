package tasmota_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/tasmota"
)

func ExampleProtocol() {
	d, err := tasmota.Protocol().New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"Time":"2026-01-01T12:00:00","AM2301":{"Temperature":18.4},"TempUnit":"C"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(readings[0].Key, readings[0].Number, readings[0].Unit)
	// Output: AM2301.Temperature 18.4 Cel
}
