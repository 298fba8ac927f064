// Package deadletter gives what could not become an observation a second chance: it reads stored dead letters again, by
// the code that reads a PUBLISH, with the registry, catalogue and source configuration of today, and puts what they
// become into the history exactly once.
//
// In: names of dead letters (internal/store). Out: rows of observations under the letters' own identity, with the arrival
// time of then, and a new version of each letter: resolved, or open with the new reason and one try more. internal/query
// is the caller; internal/gateway is the Reader.
//
// An identity belongs to a value for ever:
//
//   - a letter that stands for a whole message gives its readings the idx 0, 1, 2, ... in the order of decoding;
//   - a letter that stands for one reading gives it the letter's own idx;
//   - a letter that stands for several of a message's readings (a Thing that was unknown) gives them 32768 and more:
//     idx = 32768 + the reading's number in the payload, so that they meet none of the others.
//
// What is stored is compared by identity first. So a replay may be killed anywhere, run twice or at the same time, and
// each value is there once: a letter whose values are stored while it is still open is found so and only resolved.
// Nothing is stored by a dry run. A letter of which a part is refused again stays open; its other values are stored.
package deadletter
