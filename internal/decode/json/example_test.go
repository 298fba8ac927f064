package json_test

import (
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/json"
)

func ExampleDecoder_Decode() {
	d, err := json.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"t":"2026-01-01T08:00:00+08:00","pm2_5":35.2,"pm10":1e400}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range readings {
		if r.Err != nil {
			fmt.Println(decode.ReasonOf(r.Err), r.Err)
			continue
		}
		fmt.Println(r.Property, r.Number, time.UnixMilli(r.Time).UTC().Format(time.RFC3339))
	}
	// Output:
	// pm2_5 35.2 2026-01-01T00:00:00Z
	// number json field "pm10" at byte 53: 1e400 is beyond float64: not a finite number
}
