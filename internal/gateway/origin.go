package gateway

import (
	"net/url"
	"strings"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/situ-city/situ/pkg/sensor"
)

// shown is the broker's address for people. A password that somebody wrote into it is left out.
func (s *Source) shown() string {
	if !strings.Contains(s.Broker, "@") {
		return s.Broker
	}
	address := s.Broker
	if !strings.Contains(address, "://") {
		address = "tcp://" + address // as paho reads it
	}
	u, err := url.Parse(address)
	if err != nil {
		return "(an address that cannot be read)"
	}
	u.User = nil
	return u.String()
}

// origin is where a pulled message came from.
func (s *Source) origin(client string, msg paho.Message) sensor.Origin {
	shown := s.brokerName
	if shown == "" {
		shown = s.shown()
	}
	return sensor.Origin{Client: client, User: s.User, Broker: shown, Packet: msg.MessageID(), QoS: msg.Qos()}
}
