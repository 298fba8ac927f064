package eaflood

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/pkg/sensor"
)

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol { return doc.Protocol("ea-flood", walk) }

func walk(w *doc.Walk, root gjson.Result) {
	items := root.Get("items")
	if !each(items, func(v gjson.Result) bool {
		w.Base = decode.Reading{}
		item(w, v)
		return !w.Failed()
	}) {
		w.Fail("items", root, fmt.Errorf("no answer of the flood-monitoring API: %w", decode.ErrUnsupported))
	}
}

// each walks what is an object where there is one, and an array where there are several.
func each(v gjson.Result, visit func(gjson.Result) bool) bool {
	if v.IsObject() {
		visit(v)
	} else if v.IsArray() {
		v.ForEach(func(_, v gjson.Result) bool { return visit(v) })
	}
	return v.IsObject() || v.IsArray()
}

func item(w *doc.Walk, v gjson.Result) {
	if s := v.Get("stationReference").Str; s != "" && len(s) <= doc.MaxKey {
		w.Base.Serial = w.Keep(s)
	}
	if v.Get("lat").Type == gjson.Number && v.Get("long").Type == gjson.Number {
		w.Place(v)
	}
	base := w.Base
	switch {
	case each(v.Get("measures"), func(m gjson.Result) bool {
		w.Base = base
		measure(w, m, m.Get("latestReading"))
		return !w.Failed()
	}):
	case v.Get("latestReading").Exists():
		measure(w, v, v.Get("latestReading"))
	case v.Get("measure").IsObject():
		measure(w, v.Get("measure"), v)
	case v.Get("measure").Exists():
		alone(w, v)
	}
}

func measure(w *doc.Walk, m, reading gjson.Result) {
	if s := m.Get("stationReference").Str; w.Base.Serial == "" && len(s) <= doc.MaxKey {
		w.Base.Serial = w.Keep(s)
	}
	key := m.Get("parameter").Str
	if q := m.Get("qualifier").Str; q != "" {
		key += "/" + q
	}
	switch m.Get("valueType").Str {
	case "mean":
		w.Base.Statistic = sensor.Average
	case "max":
		w.Base.Statistic = sensor.Maximum
	case "min":
		w.Base.Statistic = sensor.Minimum
	}
	value(w, key, m.Get("unitName").Str, reading)
}

// alone reads a reading whose measure is an address: .../{station}-{parameter}-{qualifier}-{type}-{interval}-{unit}.
func alone(w *doc.Walk, v gjson.Result) {
	address := v.Get("measure").Str
	name := address[strings.LastIndexByte(address, '/')+1:]
	for _, parameter := range [...]string{"level", "flow", "rainfall", "temperature", "wind"} {
		station, rest, ok := strings.Cut(name, "-"+parameter+"-")
		if !ok || len(name) > doc.MaxKey {
			continue
		}
		qualifier, rest, _ := strings.Cut(rest, "-")
		w.Base.Serial = w.Keep(station)
		key := parameter
		if qualifier != "" {
			key += "/" + title(qualifier)
		}
		value(w, key, unitIn(rest[strings.LastIndexByte(rest, '-')+1:]), v)
		return
	}
	w.Refuse("measure", v, fmt.Errorf("%.80q names no parameter: %w", name, decode.ErrMalformed))
}

// unitIn spells the unit of an address as the API's documents do: m3_s is m3/s, deg_C is deg C.
func unitIn(s string) string {
	if strings.HasPrefix(s, "deg_") {
		return strings.Replace(s, "_", " ", 1)
	}
	return strings.Replace(s, "_", "/", 1)
}

// title spells a qualifier of an address as the API's documents do: tipping_bucket_raingauge is Tipping Bucket Raingauge.
func title(s string) string {
	if s == "downstage" {
		return "Downstream Stage"
	}
	words := strings.Split(s, "_")
	for i, word := range words {
		if word != "" && word[0] >= 'a' && word[0] <= 'z' {
			words[i] = string(word[0]-'a'+'A') + word[1:]
		}
	}
	return strings.Join(words, " ")
}

func value(w *doc.Walk, key, unit string, reading gjson.Result) {
	if !reading.IsObject() {
		return
	}
	at := reading.Get("dateTime")
	ms, err := doc.Time(at, time.UTC)
	if err != nil {
		w.Refuse(key, at, err)
		return
	}
	w.Base.Time = ms
	switch unit {
	case "mASD", "mAOD", "mBDAT", "m":
		unit = "m"
	case "---":
		unit = ""
	default:
		unit = w.Unit(unit)
	}
	if x := reading.Get("value"); x.Type != gjson.JSON {
		w.Value(key, x, unit)
	} else {
		w.Refuse(key, x, fmt.Errorf("several values at one time: %w", decode.ErrUnsupported))
	}
}
