package sqlgate

// format is a result form: the engine's name for it, and the settings that make it what people expect.
type format struct {
	name     string
	settings map[string]string
}

// formats by the names of /v1/sql. Whole numbers of 64 bits are quoted in JSON, because JavaScript rounds them; what is
// not a finite number is null there.
var formats = map[string]format{
	"json":     {"JSON", jsonSettings},
	"jsonl":    {"JSONEachRow", jsonSettings},
	"csv":      {"CSVWithNames", nil},
	"tsv":      {"TabSeparatedWithNames", nil},
	"csv-bare": {"CSV", nil}, // without the line of names: what ClickHouse's own clients expect by these names
	"tsv-bare": {"TabSeparated", nil},
	"parquet":  {"Parquet", map[string]string{"output_format_parquet_string_as_string": "1"}},
	"arrow":    {"ArrowStream", map[string]string{"output_format_arrow_string_as_string": "1"}},
}

var jsonSettings = map[string]string{
	"output_format_json_quote_64bit_integers": "1",
	"output_format_json_quote_denormals":      "0",
}
