package query

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// describe adds to the OpenAPI document what huma does not route: bodies that are no JSON, answers that are no JSON or
// never end. A test of internal/app compares the document with docs/api.md.
func describe(doc *huma.OpenAPI) {
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "a key as 'Authorization: Bearer situ_...'; also taken as the password of Basic"},
	}
	doc.Security = []map[string][]string{{"key": {}}}
	text := &huma.Schema{Type: huma.TypeString}
	bytes := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	object := &huma.Schema{Type: huma.TypeObject}
	param := func(in, name, doc string) *huma.Param {
		return &huma.Param{Name: name, In: in, Description: doc, Required: in == "path", Schema: text}
	}
	answer := func(status, what string, content map[string]*huma.MediaType) map[string]*huma.Response {
		return map[string]*huma.Response{
			status:    {Description: what, Content: content},
			"default": {Description: "what was wrong", Content: media("application/problem+json", object)},
		}
	}
	set := param("path", "set", "property code; /v1/properties lists them")
	for _, op := range []*huma.Operation{
		{Method: http.MethodGet, Path: "/v1/divisions.geojson", OperationID: "division-outlines", Summary: "Outlines of the districts",
			Responses: answer("200", "a FeatureCollection", media("application/geo+json", object))},
		{Method: http.MethodPost, Path: "/v1/sql", OperationID: "sql", Summary: "One SELECT over history, latest and what stands beside them",
			Description: "The query is the body. param_name=value gives {name:Type} its value.",
			Parameters:  []*huma.Param{param("query", "format", "json (default), jsonl, csv, tsv, parquet or arrow; or by Accept")},
			RequestBody: &huma.RequestBody{Required: true, Content: media("text/plain", text)},
			Responses:   answer("200", "the rows", sqlAnswers(text, bytes, object))},
		{Method: http.MethodPost, Path: "/v1/register", OperationID: "register", Summary: "Register Things from CSV, one verdict a row",
			RequestBody: &huma.RequestBody{Required: true, Content: media("text/csv", text)},
			Responses:   answer("207", "{rows: [{row, status, thing, column, error, notes}]}", media("application/json", object))},
		{Method: http.MethodPost, Path: "/v1/redecode", OperationID: "redecode", Summary: "Read kept payloads again, by newer decoders",
			RequestBody: &huma.RequestBody{Required: true, Content: media("application/json", object)},
			Responses:   answer("200", "a line of JSON after each page; the last is done, or has an error", media("application/x-ndjson", text))},
		{Method: http.MethodGet, Path: "/tiles/{set}.json", OperationID: "tilejson", Summary: "TileJSON 3.0 of one property",
			Parameters: []*huma.Param{set}, Responses: answer("200", "TileJSON", media("application/json", object))},
		{Method: http.MethodGet, Path: "/tiles/{set}/{z}/{x}/{y}.mvt", OperationID: "tile", Summary: "Mapbox vector tile: layers cells and points",
			Parameters: []*huma.Param{set, param("path", "z", "zoom"), param("path", "x", "column"), param("path", "y", "row, from the north")},
			Responses:  answer("200", "the tile; 204 when it is empty, 304 when it is the one of If-None-Match", media("application/vnd.mapbox-vector-tile", bytes))},
		{Method: http.MethodGet, Path: "/live", OperationID: "live", Summary: "Changes of a viewport as server-sent events: cells, points, status",
			Parameters: []*huma.Param{param("query", "set", "property code"), param("query", "bbox", "west,south,east,north"), param("query", "z", "zoom")},
			Responses:  answer("200", "events until the client leaves", media("text/event-stream", text))},
	} {
		doc.AddOperation(op)
	}
}

func media(name string, schema *huma.Schema) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{name: {Schema: schema}}
}

// sqlAnswers lists every form in which /v1/sql answers.
func sqlAnswers(text, bytes, object *huma.Schema) map[string]*huma.MediaType {
	all := map[string]*huma.MediaType{}
	for name, mediaType := range mediaTypes {
		schema := text
		switch name {
		case "csv-bare", "tsv-bare":
			continue // ClickHouse's door only
		case "json":
			schema = object
		case "parquet", "arrow":
			schema = bytes
		}
		all[mediaType] = &huma.MediaType{Schema: schema}
	}
	return all
}
