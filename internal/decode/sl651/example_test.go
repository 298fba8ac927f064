package sl651_test

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/sl651"
)

// timed is a timed report of a river station.
func timed() ([]byte, error) {
	body, err := sl651.AppendStation(nil, "0050600123", 'H')
	if err != nil {
		return nil, err
	}
	body = sl651.AppendTime(body, time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC))
	if body, err = sl651.AppendNumber(body, 0x39, 10.49); err != nil {
		return nil, err
	}
	if body, err = sl651.AppendNumber(body, 0x03, -0.5); err != nil {
		return nil, err
	}
	return sl651.Append(nil, sl651.Frame{
		Center: 1, Station: "0050600123", Password: 0x1234, Function: 0x32, Serial: 7, Sent: "260101080003", Body: body,
	})
}

func ExampleDecoder_Decode() {
	frame, err := timed()
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := sl651.New(decode.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := d.Decode(nil, frame)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range readings {
		fmt.Println(r.Serial, r.Key, r.Number, r.Unit, time.UnixMilli(r.Time).UTC().Format(time.RFC3339))
	}
	// Output:
	// 0050600123 Z 10.49 m 2026-01-01T00:00:00Z
	// 0050600123 C -0.5 Cel 2026-01-01T00:00:00Z
}

func ExampleReply() {
	frame, err := timed()
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := sl651.Parse(frame)
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, ok := sl651.Reply(nil, &f, nil, time.Date(2026, 1, 1, 8, 0, 4, 0, time.UTC), sl651.Online)
	fmt.Println(hex.EncodeToString(answer), ok)
	// Output:
	// 7e7e00506001230112343280080200072601010800041b5dc4 true
}
