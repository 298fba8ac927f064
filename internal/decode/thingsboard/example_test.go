package thingsboard_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/thingsboard"
)

func ExampleDecoder_Decode() {
	d, err := thingsboard.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"Pump A":[{"ts":1767240000000,"values":{"rpm":1490}}],"Pump B":[{"rpm":0}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range readings {
		fmt.Println(r.Serial, r.Key, r.Number, r.Time)
	}
	// Output:
	// Pump A rpm 1490 1767240000000
	// Pump B rpm 0 0
}
