package usgs

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
func Protocol() decode.Protocol { return doc.Protocol("usgs", walk) }

func walk(w *doc.Walk, root gjson.Result) {
	list := root.Get("value.timeSeries")
	if !list.IsArray() {
		w.Fail("value.timeSeries", root, fmt.Errorf("no WaterML: %w", decode.ErrUnsupported))
		return
	}
	list.ForEach(func(_, v gjson.Result) bool {
		w.Base = decode.Reading{}
		series(w, v)
		return !w.Failed()
	})
}

func series(w *doc.Walk, v gjson.Result) {
	info, variable := v.Get("sourceInfo"), v.Get("variable")
	site, code := info.Get("siteCode.0.value").Str, variable.Get("variableCode.0.value").Str
	if site == "" || len(site) > doc.MaxKey || code == "" {
		w.Refuse("siteCode", v, fmt.Errorf("no site or no parameter: %w", decode.ErrMalformed))
		return
	}
	w.Base.Serial = w.Keep(site)
	w.Base.Statistic = statistic(variable.Get("options.option"))
	if at := info.Get("geoLocation.geogLocation"); at.IsObject() {
		w.Place(at)
	}
	unit := w.Unit(variable.Get("unit.unitCode").Str)
	if u, ok := units[unit]; ok {
		unit = u
	}
	none := -999999.0
	if x := variable.Get("noDataValue"); x.Type == gjson.Number {
		none = x.Num
	}
	n := 0
	v.Get("values").ForEach(func(_, method gjson.Result) bool {
		key := code
		if n > 0 {
			w.Base.Property = w.Keep(code)
			key = fmt.Sprintf("%s#%d", code, method.Get("method.0.methodID").Int())
		}
		n++
		base := w.Base
		method.Get("value").ForEach(func(_, x gjson.Result) bool {
			w.Base = base
			value(w, key, unit, none, x)
			return !w.Failed()
		})
		w.Base = base
		return !w.Failed()
	})
}

func value(w *doc.Walk, key, unit string, none float64, v gjson.Result) {
	var zone *time.Location
	if w.ZoneSet {
		zone = w.Zone
	}
	at, x := v.Get("dateTime"), v.Get("value")
	ms, err := doc.Time(at, zone)
	if err != nil {
		w.Refuse(key, at, err)
		return
	}
	w.Base.Time = ms
	qualifiers := v.Get("qualifiers")
	if !qualifiers.IsArray() {
		w.Base.Quality |= flags[strings.ToLower(qualifiers.Str)]
	} else {
		qualifiers.ForEach(func(_, q gjson.Result) bool {
			w.Base.Quality |= flags[strings.ToLower(q.Str)]
			return true
		})
	}
	if f, err := doc.Number(x); err == nil && f == none {
		return
	}
	w.Value(key, x, unit)
}

// flags are what the qualifiers say against a value.
var flags = map[string]sensor.Quality{
	"e": sensor.Estimated, "<": sensor.SourceOver, ">": sensor.SourceOver,
	"eqp": sensor.SourceFault, "ice": sensor.SourceFault, "bkw": sensor.SourceFault, "mnt": sensor.SourceCalib, "dis": sensor.SourceFault,
	"fld": sensor.SourceFault, "rat": sensor.SourceFault, "ssn": sensor.SourceFault, "tst": sensor.SourceCalib, "zfl": sensor.SourceFault,
	"***": sensor.SourceFault,
}

// units are spellings of the service that the unit parser does not know.
var units = map[string]string{
	"ft3/s": "[ft_i]3/s", "ft/s": "[ft_i]/s", "ft/sec": "[ft_i]/s", "std units": "[pH]", "uS/cm @25C": "uS/cm", "mg/l as N": "mg/L",
}

func statistic(options gjson.Result) (s sensor.Statistic) {
	options.ForEach(func(_, option gjson.Result) bool {
		code := option.Get("optionCode").Str
		if code == "" {
			code = strings.ToLower(option.Get("value").Str)
		}
		switch code {
		case "00001", "maximum":
			s = sensor.Maximum
		case "00002", "minimum":
			s = sensor.Minimum
		case "00003", "mean":
			s = sensor.Average
		}
		return true
	})
	return s
}
