package eaflood_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/eaflood"
)

func ExampleProtocol() {
	d, err := eaflood.Protocol().New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"items":{"parameter":"level","qualifier":"Stage","unitName":"mASD","latestReading":{"dateTime":"2026-01-01T04:00:00Z","value":0.233}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(readings[0].Key, readings[0].Number, readings[0].Unit)
	// Output: level/Stage 0.233 m
}
