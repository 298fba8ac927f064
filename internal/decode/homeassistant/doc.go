// Package homeassistant decodes the states that Home Assistant's MQTT Statestream and Eventstream integrations and its
// MQTT state topics carry (Home Assistant documentation, 2020 to 2026; step 2 of 8).
//
//	homeassistant/sensor/outdoor/state                18.4      a bare number or word: Key outdoor, from the topic
//	homeassistant/sensor/outdoor/unit_of_measurement  "°C"      an attribute by itself: empty
//	{"entity_id": "sensor.outdoor", "state": "18.4", "attributes": {"unit_of_measurement": "°C"}, "last_updated": ...}
//	{"event_type": "state_changed", "event_data": {"entity_id": ..., "new_state": {"state": ...}}}
//	{"temperature": 18.4, "humidity": 71.5}                     a state topic of a device
//
// What they become:
//
//   - Key is the entity's object id: of entity_id, or the topic's level before state (the last level of another topic);
//     state where neither is known. In an object without state its own names, flattened with dots.
//   - Unit is attributes.unit_of_measurement in UCUM; a state by itself names none.
//   - Time is last_updated, else last_changed, else time_fired; a state by itself has none. Serial is none.
//   - Position is latitude and longitude of the attributes (device trackers). Other attributes are no values.
//   - unavailable, unknown and none are missing. ON, off and other words stay words.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
//
// Discovery (config) is empty as birth, online and offline are heartbeats.
package homeassistant
