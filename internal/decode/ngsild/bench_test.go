package ngsild

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

var usual = []byte(`{"id":"urn:ngsi-ld:AirQualityObserved:a1","type":"AirQualityObserved","dateObserved":{"type":"Property","value":"2026-01-01T00:00:00Z"},"no2":{"type":"Property","value":69,"unitCode":"GQ"},"temperature":{"type":"Property","value":12.5,"unitCode":"CEL"},"location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[106.55,29.56]}}}`)

func BenchmarkDecode(b *testing.B) { decodetest.Bench(b, Protocol(), "", usual, 2) }

func BenchmarkLibrary(b *testing.B) { decodetest.BenchMap(b, usual) }
