package hj212_test

import (
	"fmt"
	"os"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/hj212"
)

func ExampleDecoder_Decode() {
	d, err := hj212.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	frame := hj212.Append(nil, hj212.Frame{
		QN: "20260101080003125", ST: "22", CN: "2011", PW: "123456", MN: "SITU00000001", Flag: "4",
		DataTime: "20260101080000",
		Values: []hj212.Value{
			{Code: "a34004", Param: "Rtd", Text: "35.2", Flag: "N"},
			{Code: "a34002", Param: "Rtd", Text: "60", Flag: "D"},
		},
	})
	readings, err := d.Decode(nil, frame)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range readings {
		fmt.Println(r.Serial, r.Key, r.Property, r.Number, r.Quality)
	}
	// Output:
	// SITU00000001 a34004-Rtd a34004 35.2 good
	// SITU00000001 a34002-Rtd a34002 60 source_fault
}

func ExampleAppend() {
	frame := hj212.Append(nil, hj212.Frame{
		QN: "20160801085857223", ST: "32", CN: "1062", PW: "100000", MN: "010000A8900016F000169DC0", Flag: "5",
		Fields: []hj212.Field{{Name: "RtdInterval", Value: "30"}},
	})
	os.Stdout.Write(frame)
	// Output:
	// ##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80
}

func ExampleParse() {
	f, err := hj212.Parse([]byte("##0062ST=22;CN=2051;PW=;MN=X1;CP=&&DataTime=20260101080000;LA-Avg=50.1&&FFFF\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.MN, f.DataTime, f.Values[0].Code, f.Values[0].Text)
	fmt.Printf("length %d, said %d; CRC %s, should be %04X\n", f.Actual, f.Declared, f.Checksum.Declared, f.Checksum.Right)
	// Output:
	// X1 20260101080000 LA 50.1
	// length 66, said 62; CRC FFFF, should be EE01
}
