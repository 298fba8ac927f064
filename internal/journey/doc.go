// Package journey shows one reading after every step of situ: testdata/journey/*.txtar, written by its test from the
// real parts (registry, decoder, normaliser, gateway, spool, bus, Kafka's double, ingester, ClickHouse, live state,
// tiles) at a fixed instant. Reading a file is reading situ; `go test ./internal/journey -update` rewrites them, and
// the difference is reviewed like code. It holds nothing but that test.
package journey
