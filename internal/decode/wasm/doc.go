// Package wasm lets a source bring its own decoder as a WebAssembly module (step 2 of 8): for a format that situ does not
// know, in any language that compiles to WebAssembly, without a new build of situ. wazero runs it, inside this process,
// with nothing but its own memory: no files, no network, no clock, no randomness.
//
//	sources:
//	  - name: acme
//	    topics: ["acme/{thing}/up"]
//	    owner: acme
//	    protocol: wasm
//	    plugin: {file: decoders/acme.wasm, sha256: 5f1c..., memory: 16, time: 50ms}
//
// What a module exports (ABI 1; all texts are UTF-8, a pointer and a length):
//
//	memory
//	situ_abi() -> i32                       1
//	input(n i32) -> i32                     where n bytes may be written; 0 = so many are not taken
//	decode(topic i32, payload i32)          lengths of the topic and of the payload that stand there, one behind the other
//	_initialize()                           called once, if it is there
//
// And what it may import from "situ":
//
//	serial(text, n i32)                     of the device inside the frame, for the values that follow
//	time(ms i64), result_time(ms i64)       ms since 1970 UTC, for the values that follow; 0 = none
//	place(lon, lat f64)                     degrees in the source's datum, for the values that follow
//	statistic(code i32)                     0 instant 1 average 2 minimum 3 maximum 4 sum 5 count, for the values that follow
//	number(key, n i32, value f64, unit, m i32)   a value; the unit in UCUM, m = 0: the payload names none
//	text(key, n, words, m i32)              a value in words
//	bad(key, n, reason, words, m i32)       a value that cannot be used, and why; its neighbours stand
//	fail(reason, offset, words, m i32)      the payload cannot be read; offset -1 = not known
//	empty(reason i32)                       no values, rightly: 0 no values 1 heartbeat 2 command 3 birth
//
// Reasons: 1 truncated 2 checksum 3 malformed 4 unsupported 5 encoding 6 number 7 position 8 time 9 bound.
//
// A module is compiled once a file and hash, however many sources and connections use it. A payload is decoded by
// whichever of a few instances is free, so a decoder keeps no state that a payload depends on: an instance is thrown away
// when it traps, needs more than its memory, or takes longer than its time, and the payload becomes a dead letter (reason
// plugin) that says which of it. So many and so long are its bounds: instances GOMAXPROCS, memory 16 MiB each, time 100 ms
// a payload, unless the source says otherwise. sha256, if it is given, must fit the file: a decoder that somebody exchanged
// stops the source instead of changing its readings. An error names the module by the first digits of its hash, so that a
// dead letter says which version refused it.
//
// Strict changes nothing: what a module refuses is the module's to say.
//
// # In code
//
// Callers: the gateway and the replay of dead letters, through decode.Protocol. examples/decoders has one in AssemblyScript.
package wasm
