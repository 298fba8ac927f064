package gb26875_test

import (
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/gb26875"
)

func ExampleDecoder_Decode() {
	at := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	hydrant := gb26875.Component{SystemType: 11, System: 1, Type: 99, Zone: 4, Place: 12}
	packet, err := gb26875.Append(nil, gb26875.Packet{
		Serial: 1, Version: [2]byte{1, 1}, Time: gb26875.Label(at), Source: 0x379, Target: 0x5b38, Command: gb26875.Send,
		Data: gb26875.AppendAnalog(gb26875.AppendUnit(nil, 3, 1), hydrant, 4, 6, at),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := gb26875.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, packet)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range readings {
		fmt.Println(r.Serial, r.Key, r.Property, r.Number, r.Unit)
	}
	// Output:
	// 000000000379 hydrant_pressure-11.1-99.4.12 hydrant_pressure 0.6 MPa
}
