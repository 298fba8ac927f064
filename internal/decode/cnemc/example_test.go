package cnemc_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/cnemc"
)

func ExampleDecoder_Decode() {
	file := cnemc.Append(nil, "timepoint", "stationcode", "longitude", "latitude", "positionname", "pm2_5", "co")
	file = cnemc.Append(file, "2026-01-01T08:00:00", "9001A", "106.55", "29.56", "Park, north gate", "40", "")
	d, err := cnemc.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, file)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range readings {
		fmt.Println(r.Serial, r.Key, r.Number, r.Unit, r.Position.Lon, r.Position.Lat)
	}
	// Output:
	// 9001A pm2_5 40 ug/m3 106.55 29.56
}
