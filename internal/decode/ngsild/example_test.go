package ngsild_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/ngsild"
)

func ExampleDecoder_Decode() {
	d, err := ngsild.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"id":"urn:ngsi-ld:AirQualityObserved:a1","type":"AirQualityObserved","dateObserved":{"type":"Property","value":"2026-01-01T00:00:00Z"},"no2":{"type":"Property","value":69,"unitCode":"GQ"},"temperature":{"type":"Property","value":12.5,"unitCode":"CEL"},"location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[106.55,29.56]}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range readings {
		fmt.Println(r.Serial, r.Key, r.Number, r.Unit, r.Time)
	}
	// Output:
	// urn:ngsi-ld:AirQualityObserved:a1 no2 69 ug/m3 1767225600000
	// urn:ngsi-ld:AirQualityObserved:a1 temperature 12.5 Cel 1767225600000
}
