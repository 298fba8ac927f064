package engine

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// baseSettings are in force on every request unless its URL says otherwise: where the
// library's defaults differ from a ClickHouse server's, the server's; no sampling
// profiler, whose timer signals would land on Go's threads; and inserts that are in the
// table when they are answered. A statement may take half of the engine's memory, so that
// one that asks for too much fails before it makes inserts fail.
func baseSettings(memoryLimit uint64) map[string]string {
	return map[string]string{
		"implicit_select":                    "0",
		"allow_introspection_functions":      "0",
		"async_insert":                       "0",
		"query_profiler_real_time_period_ns": "0",
		"query_profiler_cpu_time_period_ns":  "0",
		"max_memory_usage":                   strconv.FormatUint(memoryLimit/2, 10),
	}
}

// prelude is the text that gives a fresh connection its database and its settings, which
// are base's where the request has none. All
// values go as strings, which the engine converts by each setting's type; so an unknown
// name or a bad value is refused with ClickHouse's own code.
func prelude(database string, settings, base map[string]string) (string, error) {
	var b strings.Builder
	if database != "" {
		b.WriteString("USE `" + escape(database, '`') + "`; ")
	}
	all := map[string]string{}
	maps.Copy(all, base)
	maps.Copy(all, settings)
	separator := "SET "
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == "" || strings.ContainsFunc(name, notSettingRune) {
			return "", newException(115, "UNKNOWN_SETTING", "Unknown setting '"+name+"'")
		}
		b.WriteString(separator + name + "='" + escape(all[name], '\'') + "'")
		separator = ", "
	}
	return b.String(), nil
}

func notSettingRune(r rune) bool { return r >= 0x80 || r == '$' || !isWord(byte(r)) }

// escape prepares s for a literal between two of quote.
func escape(s string, quote byte) string {
	return strings.NewReplacer(`\`, `\\`, string(quote), `\`+string(quote)).Replace(s)
}
