package senml_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/senml"
)

func ExampleDecoder_Decode() {
	d, err := senml.JSON().New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, []byte(`[
		{"bn":"urn:dev:ow:264437f5000000ed:","bt":1767225600,"n":"temp","u":"Cel","v":21.5},
		{"n":"power","u":"W","v":60,"s":3600},
		{"n":"door","vb":true,"t":-5}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range readings {
		fmt.Println(r.Serial, r.Key, r.Statistic, r.Number, r.Unit, r.Time)
	}
	// Output:
	// urn:dev:ow:264437f5000000ed temp instant 21.5 Cel 1767225600000
	// urn:dev:ow:264437f5000000ed power instant 60 W 1767225600000
	// urn:dev:ow:264437f5000000ed power sum 3600 W.s 1767225600000
	// urn:dev:ow:264437f5000000ed door instant 1  1767225595000
}

func ExampleAppendJSON() {
	fmt.Printf("%s\n", senml.AppendJSON(nil, senml.Pack{
		Name: "urn:dev:ow:264437f5000000ed:", Time: 1767225600,
		Records: []senml.Record{{Name: "temp", Unit: "Cel", Value: 21.5}, {Name: "label", Text: "Halle 3"}},
	}))
	// Output:
	// [{"bn":"urn:dev:ow:264437f5000000ed:","bt":1.7672256e+09,"n":"temp","u":"Cel","v":21.5},{"n":"label","vs":"Halle 3"}]
}

func ExampleAppendCBOR() {
	fmt.Printf("%x\n", senml.AppendCBOR(nil, senml.Pack{
		Name: "urn:dev:ow:264437f5000000ed:", Records: []senml.Record{{Name: "temp", Unit: "Cel", Value: 21.5}},
	}))
	// Output:
	// 81a421781c75726e3a6465763a6f773a323634343337663530303030303065643a006474656d70016343656c02fa41ac0000
}
