// Package mapped reads payloads as a source's configuration says (step 2 of 8), for formats that no package is about.
//
// It does two things, each where the configuration has words for it:
//
//   - With `values`, payloads of protocol json are read by expressions (expr-lang.org, 1.17): `each` says what is one
//     report, an array giving several; `time`, `lon` and `lat` are of a report; each of `values` is one value of it.
//   - Around any protocol, `rename` gives values the catalogue's names, `units` says in which unit those come that name
//     none, and `thing` makes the Thing's name of parts of the topic and of the payload.
//
// What an expression sees: payload (the JSON document), item (the report in hand; without `each` the payload), index
// (its place in the array, from 0), topic, and part.NAME for each {NAME} in the source's topic. Nothing else: no clock,
// no environment, no other message. Objects, arrays, numbers, texts, true, false and null are JSON's own; numbers are
// float64, so that an integer beyond 2^53 has to come as text. What the payload lacks is null, and so is all below it.
//
// What becomes of a result:
//
//   - value: a number is the result, true and false are 1 and 0, other text is a value in words, null is no value. Text
//     that is a JSON number throughout ("23.5") is that number. Objects and arrays refuse the value.
//   - time: a number counts milliseconds since 1970 (UTC), between 1973 and 5138: a number of seconds is refused, write
//     `item.ts * 1000`. Text is RFC 3339; one without zone, "2026-11-23 08:00:00", and 14 digits, 20261123080000, are
//     in the source's zone (Asia/Shanghai unless it names one). null is no time.
//   - lon and lat: degrees in the source's datum; text that is a number counts. Both null is no position; one alone, or a
//     place outside the world, refuses the report.
//   - when: false or null leaves the value out; anything but true, false and null refuses it.
//   - each: an array, or one object. null refuses the payload (it is of another kind); an array of none is no values.
//   - key: text or an integer, the value's own name.
//
// A value that computes with something that the payload lacks is no value. An expression that fails otherwise leaves a
// Reading with Err that names it, and its neighbours stand.
//
// Bounds. An expression is compiled once and has at most MaxNodes nodes; functions are those that Functions lists;
// loops (filter, map, all, ...) stand in each other at most two deep, and one payload is given MaxSteps of them. There
// are no ranges and no variables, and texts are at most MaxText bytes long, also those put together with '+'. A document
// nests at most MaxDepth deep and has at most MaxMembers values.
//
// The gateway is the caller. The package never looks at a clock, a registry or the network.
package mapped
