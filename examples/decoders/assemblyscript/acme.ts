// A decoder for what an imaginary weather logger sends over LoRaWAN, big-endian:
//
//   version u8 = 1 | serial u32 | unix seconds u32 | temperature i16, 0.01 Cel | humidity u8, 0.5 % | battery u16, mV
//   version u8 = 0: a heartbeat
//
// It keeps no state: situ may run several instances, and throw one away at any moment.
import { BOUND, TRUNCATED, UNSUPPORTED, NUMBER, Text, bad, empty, fail, number, payloadAt, serial, time } from "./situ";
export { input } from "./situ";

export function situ_abi(): i32 { return 1; }

const temperature = new Text("air_temperature"), celsius = new Text("Cel");
const humidity = new Text("humidity"), percent = new Text("%");
const battery = new Text("battery_voltage"), millivolt = new Text("mV");
const tooShort = new Text("a report has 14 bytes"), otherVersion = new Text("a version other than 0 and 1");
const noSensor = new Text("the probe is not connected (8000)");
const digits = new Text("0123456789abcdef"), name = new Text("acme-00000000");

export function decode(topicLength: i32, payloadLength: i32): void {
  const p = payloadAt(topicLength);
  const version = load<u8>(p);
  if (version == 0) { empty(1); return; }
  if (version != 1) { fail(UNSUPPORTED, 0, otherVersion.at, otherVersion.length); return; }
  if (payloadLength < 14) { fail(TRUNCATED, payloadLength, tooShort.at, tooShort.length); return; }
  const id = bswap(load<u32>(p, 1));
  for (let i = 0; i < 8; i++) {
    store<u8>(name.at + 5 + i, load<u8>(digits.at + (id >> (28 - 4 * i) & 15)));
  }
  serial(name.at, name.length);
  time(<i64>bswap(load<u32>(p, 5)) * 1000);
  const t = <i16>bswap(load<u16>(p, 9));
  if (t == -32768) {
    bad(temperature.at, temperature.length, NUMBER, noSensor.at, noSensor.length);
  } else {
    number(temperature.at, temperature.length, <f64>t / 100, celsius.at, celsius.length);
  }
  number(humidity.at, humidity.length, <f64>load<u8>(p, 11) / 2, percent.at, percent.length);
  number(battery.at, battery.length, <f64>bswap(load<u16>(p, 12)), millivolt.at, millivolt.length);
}
