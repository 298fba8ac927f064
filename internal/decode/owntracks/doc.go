// Package owntracks decodes what the OwnTracks apps publish (Booklet, JSON, topic owntracks/{user}/{device}; step 2 of 8).
//
// What a message becomes:
//
//   - location: acc, alt, vac in metres, vel km/h, cog degrees, batt %, p kPa are values; -1 of them means unknown and is
//     missing. lon and lat are the position, tst the time. Of a phone that tells nothing else position_fix 1 stands for them,
//     so that it is on the map too.
//   - transition: event, enter or leave, is a value in words; the region's name is not kept.
//   - Serial is {user}/{device} of the topic, or of the member topic that HTTP mode sends; elsewhere none. tid is two
//     letters that anybody may choose, and no identity.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
//
// lwt is a heartbeat; waypoints, cards, steps, beacons, status and configuration are empty, cmd as command. An encrypted
// message is refused as unsupported. Names of Wi-Fi networks and regions never leave the package.
package owntracks
