package gateway

import (
	"net/url"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/situ-city/situ/pkg/sensor"
)

// origin is where a pulled message came from. A password that somebody wrote into the address is left out.
func (s *Source) origin(client string, msg paho.Message) sensor.Origin {
	if s.brokerName == "" {
		s.brokerName = s.Broker
		if u, err := url.Parse(s.Broker); err == nil {
			u.User = nil
			s.brokerName = u.String()
		}
	}
	return sensor.Origin{Client: client, User: s.User, Broker: s.brokerName, Packet: msg.MessageID(), QoS: msg.Qos()}
}
