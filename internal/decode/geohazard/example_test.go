package geohazard_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/geohazard"
)

func ExampleDecoder_Decode() {
	d, err := geohazard.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`{"SN0001": {
		"L1_LF_1": {"2026-01-01T00:00:00.000Z": 10.86},
		"L1_GP_1": {"2026-01-01T00:00:00.000Z": [3.1, -0.4, 1]}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range readings {
		fmt.Println(r.Serial, r.Key, r.Property, r.Number, r.Unit)
	}
	// Output:
	// SN0001 L1_LF_1 LF 10.86 mm
	// SN0001 L1_GP_1.gpsTotalX gpsTotalX 3.1 mm
	// SN0001 L1_GP_1.gpsTotalY gpsTotalY -0.4 mm
	// SN0001 L1_GP_1.gpsTotalZ gpsTotalZ 1 mm
}
