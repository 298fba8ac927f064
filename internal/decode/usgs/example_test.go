package usgs_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/usgs"
)

func ExampleProtocol() {
	d, err := usgs.Protocol().New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"value":{"timeSeries":[{"sourceInfo":{"siteCode":[{"value":"01491000"}]},"variable":{"variableCode":[{"value":"00065"}],"unit":{"unitCode":"ft"}},"values":[{"value":[{"value":"6.48","dateTime":"2026-01-01T00:00:00-04:00"}]}]}]}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(readings[0].Key, readings[0].Number, readings[0].Unit)
	// Output: 00065 6.48 [ft_i]
}
