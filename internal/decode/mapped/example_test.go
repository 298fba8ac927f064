package mapped_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/mapped"
)

// A vendor's JSON, read as a configuration says.
func Example() {
	program, err := mapped.Compile(&mapped.Mapping{
		Thing: "{site}-{item.sn}", Each: "payload.data", Time: "item.ts * 1000",
		Values: []mapped.Value{{Property: "pm2_5", Value: "item.dust / 10", Unit: "ug/m3", When: "item.ok"}},
	}, "json", decode.Settings{}, []string{"site"})
	if err != nil {
		fmt.Println(err)
		return
	}
	d := program.NewState(nil).On("acme/north/up", "acme", map[string]string{"site": "north"})
	readings, err := d.Decode(nil, []byte(`{"data":[{"sn":7,"ts":1767225600,"dust":352,"ok":true},{"sn":8,"ts":1767225600,"dust":-1,"ok":false}]}`))
	for _, r := range readings {
		fmt.Println(r.Thing, r.Property, r.Number, r.Unit, r.Time)
	}
	fmt.Println(err)
	// Output:
	// acme/north-7 pm2_5 35.2 ug/m3 1767225600000
	// <nil>
}
