package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// canaryConn is the road over the gateway's own listener: a client like any other.
type canaryConn struct{ client paho.Client }

func (c *canary) dial(ctx context.Context, addr string) (canaryRoad, error) {
	o := paho.NewClientOptions().SetClientID(canaryUser).SetUsername(canaryUser).SetPassword(c.password).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(canaryPatience)
	if t := c.g.cfg.TLS; t != nil {
		o.AddBroker("ssl://" + addr).SetTLSConfig(ownCertificate(t))
	} else {
		o.AddBroker("tcp://" + addr)
	}
	return dialCanary(ctx, o)
}

// dialSource publishes to somebody's broker, from which the source's subscription brings the reading back.
func (c *canary) dialSource(ctx context.Context, p *puller) (canaryRoad, error) {
	if !p.known.Load() {
		return nil, errNoSession
	}
	password, err := p.password()
	if err != nil {
		return nil, err
	}
	source := p.source.Load()
	return dialCanary(ctx, paho.NewClientOptions().AddBroker(source.Broker).SetClientID(p.client+"-canary").
		SetUsername(source.User).SetPassword(password).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(canaryPatience))
}

func dialCanary(ctx context.Context, o *paho.ClientOptions) (canaryRoad, error) {
	client := paho.NewClient(o)
	if err := wait(ctx, client.Connect(), canaryPatience); err != nil {
		client.Disconnect(0)
		return nil, err
	}
	return canaryConn{client}, nil
}

// errNoSession: the broker would acknowledge the reading and give it to nobody.
var errNoSession = errors.New("the source is not subscribed yet")

var errOtherCertificate = errors.New("that is not this gateway's certificate")

// ownCertificate takes the very certificate that this process shows, whatever names stand in it: it is meant for the
// devices' name of this gateway, not for a loopback address.
func ownCertificate(server *tls.Config) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			for i := range server.Certificates {
				if len(raw) > 0 && len(server.Certificates[i].Certificate) > 0 && bytes.Equal(raw[0], server.Certificates[i].Certificate[0]) {
					return nil
				}
			}
			return errOtherCertificate
		}}
}

func (r canaryConn) publish(ctx context.Context, topic string, payload []byte) error {
	return wait(ctx, r.client.Publish(topic, 1, false, payload), canaryPatience)
}

func (r canaryConn) close() { r.client.Disconnect(0) }
