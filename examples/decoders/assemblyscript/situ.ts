// What situ gives to a decoder, and what it wants of one (docs/plugins.md). Texts are UTF-8: a pointer and a length.

// @ts-ignore: decorator
@external("situ", "serial")
export declare function serial(text: usize, length: i32): void; // of the device, for the values that follow
// @ts-ignore: decorator
@external("situ", "time")
export declare function time(ms: i64): void; // phenomenonTime, ms since 1970 UTC
// @ts-ignore: decorator
@external("situ", "result_time")
export declare function resultTime(ms: i64): void;
// @ts-ignore: decorator
@external("situ", "place")
export declare function place(lon: f64, lat: f64): void; // degrees, in the source's datum
// @ts-ignore: decorator
@external("situ", "statistic")
export declare function statistic(code: i32): void; // 0 instant 1 average 2 minimum 3 maximum 4 sum 5 count
// @ts-ignore: decorator
@external("situ", "number")
export declare function number(key: usize, keyLength: i32, value: f64, unit: usize, unitLength: i32): void;
// @ts-ignore: decorator
@external("situ", "text")
export declare function text(key: usize, keyLength: i32, value: usize, valueLength: i32): void;
// @ts-ignore: decorator
@external("situ", "bad")
export declare function bad(key: usize, keyLength: i32, reason: i32, words: usize, length: i32): void; // this value alone
// @ts-ignore: decorator
@external("situ", "fail")
export declare function fail(reason: i32, offset: i32, words: usize, length: i32): void; // the whole payload
// @ts-ignore: decorator
@external("situ", "empty")
export declare function empty(reason: i32): void; // 0 no values 1 heartbeat 2 command 3 birth

// Reasons for bad and fail.
export const TRUNCATED = 1, CHECKSUM = 2, MALFORMED = 3, UNSUPPORTED = 4, ENCODING = 5, NUMBER = 6, POSITION = 7, TIME = 8, BOUND = 9;

// A text that is made once: strings of AssemblyScript are UTF-16.
export class Text {
  private bytes: ArrayBuffer;
  constructor(s: string) { this.bytes = String.UTF8.encode(s); }
  get at(): usize { return changetype<usize>(this.bytes); }
  get length(): i32 { return this.bytes.byteLength; }
}

// The input: situ asks for n bytes, writes topic and payload into them, one behind the other, and calls decode.
const MOST = 65536;
const room = memory.data(MOST);
export function input(n: i32): usize { return n <= MOST ? room : 0; }
export function payloadAt(topicLength: i32): usize { return room + topicLength; }
