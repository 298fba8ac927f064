// Package zigbee2mqtt decodes the state messages of Zigbee2MQTT 1.x and 2.x (topic zigbee2mqtt/{friendly name}, JSON
// output; step 2 of 8).
//
// What a payload becomes:
//
//   - Key is the member's name, nested ones flattened with dots ("color.x"). true and false are 1 and 0 (contact false =
//     open, occupancy, water_leak, smoke and so on); other words stay words (state ON, action single).
//   - Unit is Zigbee2MQTT's own for the usual names (units.go). Two depend on their neighbours: voltage is in mV for
//     batteries and in V for the mains, which no number can be both (1000 and more is mV); illuminance is a raw value where
//     illuminance_lux stands beside it, else lux.
//   - Time is last_seen in any of its settings (epoch, ISO_8601, ISO_8601_local); without it there is none.
//   - Serial is device.ieeeAddr where device information is switched on, else none: the topic names the Thing.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
//
// The members update, update_available, last_seen, elapsed and device are no values. Availability topics are empty as
// heartbeats, so are online and offline as words; messages of the bridge itself are empty.
package zigbee2mqtt
