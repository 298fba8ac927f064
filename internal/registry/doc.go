// Package registry is the one ledger of Things and Datastreams: SQLite on disk or a PostgreSQL database, and an
// immutable snapshot in memory.
//
// In: Things and Datastreams declared by owners (CSV register, HTTP) or by their first reading (the bus).
// Out: look-ups for the hot path (Snapshot: no lock, no copy, no I/O), a numbered change feed, a snapshot file.
// It is written by cmd/query alone (Registry); gateways and ingesters follow it over HTTP and live on their
// snapshot file while there is no link (Follower). Both give the same Snapshot.
//
// # Change feed
//
// Each change is the whole new state of one Thing or Datastream. Its number is given inside the transaction that
// stores it, so numbers rise in the order of commits and a reader that has seen n can never miss something below n.
// Writers take turns: on SQLite by the file's lock, on PostgreSQL (where a sequence commits out of order) by the row
// that holds the newest number.
// A number is never given twice, not even after kill -9; today there are no holes, but readers must allow them.
// The number also stands as Version in the Thing or Datastream itself, and the newest is the Snapshot's Version.
//
// # Templates
//
// Which Datastream a value belongs to is internal/normalize's to say; a value is always stored under its exact id,
// sensor.NewDatastreamID(thing, catalogue property, statistic, source key as sent). An owner need not know source keys:
// a Datastream declared by its property alone (statistic instant, no source key; its id is TemplateID) is a template.
// Its unit, interval and range hold for every source key and statistic of that property but sums and counts, whose unit
// is another one (HJ 212's Cou is a mass, not a concentration). Sums and counts are declared by their source key,
// without a property unless their unit is one of the property's.
// A Datastream that its first reading declared (Auto) takes unit, interval and range from the Thing's template, when it
// is declared and whenever the template changes, so that whoever looks up an exact id sees the owner's word.
//
// # Databases
//
// What differs is in sqlite.go and postgres.go, a dialect each; the tables come from the same numbered files. A file is
// opened in WAL mode and synced at each commit. A PostgreSQL server that restarts is waited for (patience); a commit
// without an answer is told as such and not repeated, because the next look shows what became of it.
//
// # What it never does
//
// It never overwrites what an owner declared with what a reading implied, never deletes (a Thing retires), never
// guesses a datum silently, and never puts a credential into feed or snapshot file.
package registry
