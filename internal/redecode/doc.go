// Package redecode reads kept payloads again, by newer decoders, and has the history show what they say.
//
// In: payloads as they came (internal/store: Payloads), in order of arrival. Out: for each message the rows by which it speaks
// otherwise than before, beside the old ones, under its own identity and arrival, with the next revision; and a retraction for
// each instant of which it says nothing any more. internal/query is the caller; internal/gateway is the Reader.
//
// What stands in history afterwards is what the newer decoder alone would have given:
//
//   - A revision orders only among rows of one message. Which message stands at an instant is as it was: the greatest
//     resultTime, then arrivalTime. So a correction that came later still wins over an older message that is read again.
//   - A value that comes out as it was is left alone. What it was judged by the values around it (rate of change, stuck, clock
//     skew) is compared only where one of these came out otherwise, and in runs that begin with the first payload. So the same
//     again changes nothing, and a run that was killed anywhere is finished by the next: what is stored is compared first, and
//     what was stored without the roll-ups' knowing is told to them by Finish.
//   - What is refused now stays as it was, unless Options.RetractRefused: a plug-in that traps, or a Thing that was retired, must
//     not empty the past.
//   - Open dead letters of a message of which nothing is refused any more are resolved: its values are observations now.
//   - Messages with letters that were replayed with another clock are left alone: the correction is nowhere else.
//
// A message that is read again is no second message: the balance counts rows of revision 0 (docs/formats/balance.md).
package redecode
