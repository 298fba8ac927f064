// Package engine runs ClickHouse's engine (libchdb) inside situ and speaks ClickHouse's
// own HTTP interface to it, so that the embedded store and a ClickHouse server are the same
// to every client: clickhouse-go.
//
// The library lives in a process of its own, `situ store`, because it shares nothing well:
// it takes signal handlers, memory and threads, and a crash of it must not take the gateway
// along. Parent and child:
//
//	parent                                    child
//	Supervisor.Run --- starts, SIGTERM -----> Serve: flock, pin, libchdb, HTTP on a 0600 socket
//	Open, OpenDB, Options --- unix socket --> one engine connection a request
//
// What holds (each has a test):
//   - An INSERT that was answered 200 is in its table. With the table settings
//     fsync_after_insert=1, fsync_part_directory=1 it survives kill -9 and power loss.
//   - A setting in the URL is in force for that request and no other: every request has its
//     own engine session, opened in 0.2 ms.
//   - A statement whose client left is killed. A body that breaks off inserts nothing (of a
//     block that was still being read).
//   - Errors are ClickHouse's: code, text, status; after the first byte of a result they
//     are framed as __exception__ and the connection is broken off.
//   - Results in Native, TSV, CSV, JSONEachRow, RowBinary, ArrowStream and their WithNames
//     forms pass in blocks; other formats are made whole in the child's memory first.
//
// A request's settings go to its session as one "USE db; SET name='value', ..." before the
// statement; base values, where the URL has none, are implicit_select=0, async_insert=0,
// allow_introspection_functions=0, no query profiler, max_memory_usage = half of MemoryLimit.
// Then the statement runs with a closing comment by which KILL QUERY finds it.
//
// What it does not do: users, grants, sessions, external tables, INTO OUTFILE, several
// statements in one request. It reads files and URLs if the SQL says so: whoever reaches the
// socket may do what the process may, so foreign SQL passes the gate in the parent first.
//
// Bytes in and out are ClickHouse formats; times, units and tables are the callers' matter.
// Nothing here knows situ's schema.
package engine
