// Package all lists the protocols of this build (step 2 of 8). The gateway's configuration chooses from the list;
// nothing registers itself.
package all

//go:generate go run ../../tools/protocoldocs -root ../../..

import (
	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/chirpstack"
	"github.com/situ-city/situ/internal/decode/cnemc"
	"github.com/situ-city/situ/internal/decode/eaflood"
	"github.com/situ-city/situ/internal/decode/ecowitt"
	"github.com/situ-city/situ/internal/decode/gb26875"
	"github.com/situ-city/situ/internal/decode/geohazard"
	"github.com/situ-city/situ/internal/decode/hj212"
	"github.com/situ-city/situ/internal/decode/homeassistant"
	"github.com/situ-city/situ/internal/decode/json"
	"github.com/situ-city/situ/internal/decode/meshtastic"
	"github.com/situ-city/situ/internal/decode/ngsild"
	"github.com/situ-city/situ/internal/decode/openaq"
	"github.com/situ-city/situ/internal/decode/opensensemap"
	"github.com/situ-city/situ/internal/decode/owntracks"
	"github.com/situ-city/situ/internal/decode/senml"
	"github.com/situ-city/situ/internal/decode/sensorcommunity"
	"github.com/situ-city/situ/internal/decode/sensorthings"
	"github.com/situ-city/situ/internal/decode/sl651"
	"github.com/situ-city/situ/internal/decode/sparkplug"
	"github.com/situ-city/situ/internal/decode/tasmota"
	"github.com/situ-city/situ/internal/decode/thingsboard"
	"github.com/situ-city/situ/internal/decode/ttn"
	"github.com/situ-city/situ/internal/decode/usgs"
	"github.com/situ-city/situ/internal/decode/wasm"
	"github.com/situ-city/situ/internal/decode/zigbee2mqtt"
)

// Protocols gives every protocol, each under the name that ends its topics.
func Protocols() []decode.Protocol {
	return []decode.Protocol{
		chirpstack.Protocol(),
		cnemc.Protocol(),
		eaflood.Protocol(),
		ecowitt.Protocol(),
		gb26875.Protocol(),
		geohazard.Protocol(),
		hj212.Protocol(),
		homeassistant.Protocol(),
		json.Protocol(),
		meshtastic.Protocol(),
		ngsild.Protocol(),
		openaq.Protocol(),
		opensensemap.Protocol(),
		owntracks.Protocol(),
		senml.CBOR(),
		senml.JSON(),
		sensorcommunity.Protocol(),
		sensorthings.Protocol(),
		sl651.Protocol(),
		sparkplug.Protocol(),
		tasmota.Protocol(),
		thingsboard.Protocol(),
		ttn.Protocol(),
		usgs.Protocol(),
		wasm.Protocol(),
		zigbee2mqtt.Protocol(),
	}
}
