package sensorthings_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/sensorthings"
)

func ExampleDecoder_Decode() {
	d, err := sensorthings.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"phenomenonTime":"2026-01-01T00:00:00Z","resultTime":null,"result":35.2,"Datastream":{"@iot.id":1,"unitOfMeasurement":{"name":"microgram per cubic metre","symbol":"ug/m3"},"ObservedProperty":{"name":"PM2.5"}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range readings {
		fmt.Println(r.Serial, r.Key, r.Number, r.Unit, r.Time)
	}
	// Output:
	//  PM2.5 35.2 ug/m3 1767225600000
}
