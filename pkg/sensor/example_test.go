package sensor_test

import (
	"fmt"

	"github.com/situ-city/situ/pkg/sensor"
)

func ExampleCatalogue_Lookup() {
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"PM2.5", "a34004", "细颗粒物"} {
		p, _ := catalogue.Lookup(name)
		fmt.Println(p.Number, p.Code, p.Unit)
	}
	code, _ := catalogue.HJ212("a01006")
	fmt.Println(code.Property.Code, code.Unit)
	// Output:
	// 1 pm2_5 ug/m3
	// 1 pm2_5 ug/m3
	// 1 pm2_5 ug/m3
	// pressure kPa
}

func ExampleNewConversion() {
	c, err := sensor.NewConversion("毫克/立方米", "ug/m3")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Apply(0.0523))
	_, err = sensor.NewConversion("ppb", "ug/m3")
	fmt.Println(err)
	// Output:
	// 52.3
	// unit does not fit: "[ppb]" to "ug/m3": parts by volume become mass only with a molar mass, a temperature and a pressure
}
