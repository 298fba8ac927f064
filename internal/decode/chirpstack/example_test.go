package chirpstack_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/chirpstack"
)

func ExampleDecoder_Decode() {
	d, err := chirpstack.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"devEUI":"cLPVftAGGgc=","fPort":2,"data":"AQI=",
		"objectJSON":"{\"level_mm\":412.5}","publishedAt":"2026-03-01T04:00:00Z"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(readings[0].Serial, readings[0].Key, readings[0].Number)
	// Output: 70b3d57ed0061a07 level_mm 412.5
}
