package sensorthings

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

var usual = []byte(`{"phenomenonTime":"2026-01-01T00:00:00Z","resultTime":null,"result":35.2,"Datastream":{"@iot.id":1,"unitOfMeasurement":{"name":"microgram per cubic metre","symbol":"ug/m3"},"ObservedProperty":{"name":"PM2.5"}}}`)

func BenchmarkDecode(b *testing.B) { decodetest.Bench(b, Protocol(), "", usual, 1) }

func BenchmarkLibrary(b *testing.B) { decodetest.BenchMap(b, usual) }
