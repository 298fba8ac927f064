// Decoders as they must not be; situ's tests run them. The first byte of the payload chooses.
import { Text, number, text, serial, place, fail, bad, time, payloadAt } from "./situ";
export { input } from "./situ";

export function situ_abi(): i32 { return 1; }

const key = new Text("k");

export function decode(topicLength: i32, payloadLength: i32): void {
  const p = payloadAt(topicLength);
  switch (load<u8>(p)) {
    case 0: while (true) { store<u8>(p + 1, load<u8>(p + 1) + 1); }
    case 1: while (memory.grow(16) >= 0) { } unreachable();
    case 2: unreachable();
    case 3: number(0x7ffffff0, 100, 1, 0, 0); break; // beyond the memory
    case 4: number(key.at, -1, 1, 0, 0); break; // a negative length
    case 5: for (let i = 0; i < 100000; i++) number(key.at, key.length, i, 0, 0); break;
    case 6: number(key.at, key.length, NaN, 0, 0); break;
    case 7: store<u8>(p, 0xff); text(key.at, key.length, p, 1); break; // not UTF-8
    case 8: number(0, 0, 1, 0, 0); break; // no name
    case 9: place(500, 500); number(key.at, key.length, 1, 0, 0); break;
    case 10: deep(0); break;
    case 11: fail(99, -5, 0, 0); break; // an unknown reason
    case 12: bad(0, 0, 0, 0, 0); break;
    case 13: text(key.at, key.length, p, 60000); break; // long words
    case 14: time(i64.MIN_VALUE); number(key.at, key.length, 1, 0, 0); break;
    case 15: serial(p, 60000); number(key.at, key.length, 1, 0, 0); break;
    case 16: number(key.at, key.length, 1, p, 60000); break; // a unit without end
    case 17: number(key.at, key.length, 1, 0, 0); fail(3, 7, key.at, key.length); break; // values, and then none
    case 18: store<u32>(counter, load<u32>(counter) + 1); number(key.at, key.length, load<u32>(counter), 0, 0); break; // keeps state
    default: number(key.at, key.length, payloadLength, 0, 0);
  }
}

const counter = memory.data(4);

function deep(n: i32): i32 { return deep(n + 1) + deep(n + 2) + n; }
