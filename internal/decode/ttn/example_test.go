package ttn_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/ttn"
)

func ExampleDecoder_Decode() {
	d, err := ttn.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"end_device_ids":{"dev_eui":"70B3D57ED0061A07"},"received_at":"2026-03-01T04:00:00Z",
		"uplink_message":{"f_port":2,"frm_payload":"AQID","decoded_payload":{"air":{"temperature":18.4}}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(readings[0].Serial, readings[0].Key, readings[0].Number)
	// Output: 70B3D57ED0061A07 air.temperature 18.4
}
