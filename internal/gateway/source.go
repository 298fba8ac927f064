package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/mapped"
	"github.com/situ-city/situ/internal/decode/wasm"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Source says how payloads of a topic filter are read. situ's own topics need none.
type Source struct {
	Name     string          `yaml:"name"`
	Broker   string          `yaml:"broker,omitempty"`   // tcp://host:port or ssl://...; "" = topics of the embedded front
	Client   string          `yaml:"client,omitempty"`   // fixed MQTT client id on that broker; default situ-<gateway>-<name>
	User     string          `yaml:"user,omitempty"`     //
	Password string          `yaml:"password,omitempty"` // or password_file
	PassFile string          `yaml:"password_file,omitempty"`
	Topics   []string        `yaml:"topics"`             // MQTT topic filters; each {name} stands for '+' and is a part that {owner}, {thing} or the template `thing` is made of
	Protocol string          `yaml:"protocol,omitempty"` // "" = the topic's last level, as in situ's own topics
	Owner    string          `yaml:"owner,omitempty"`    // owner of Things whose topic names none
	CRS      geo.CRS         `yaml:"crs,omitempty"`      // datum of positions in payloads
	Keep     string          `yaml:"keep,omitempty"`     // "raw": each payload is kept as it came, for situ redecode
	Canary   bool            `yaml:"canary,omitempty"`   // this broker lets situ publish its canary there; the topics must bring it back
	Rebirth  *bool           `yaml:"rebirth,omitempty"`  // false: do not ask Sparkplug nodes for their births; nil = ask
	Settings decode.Settings `yaml:",inline"`
	Mapping  mapped.Mapping  `yaml:",inline"` // names, units, identity, and expressions for JSON of any vendor

	Where string `yaml:"-"` // file and line of the configuration, for messages

	program    *mapped.Program // of Mapping, made by Validate; nil = the protocol has the last word
	brokerName string          // Broker as dead letters show it; made by Validate
}

// ErrSource: a source's configuration cannot work.
var ErrSource = errors.New("source configuration")

// keepRaw is the one thing that keep may say.
const keepRaw = "raw"

// CheckKeep looks at filters of situ's own topics whose payloads are to be kept.
func CheckKeep(filters []string) error {
	for _, f := range filters {
		if err := checkLevels(f); err != nil {
			return fmt.Errorf("topic %q: %w", f, err)
		}
		if !strings.HasPrefix(f, ownPrefix) {
			return fmt.Errorf("topic %q is none of situ's own, which begin with %s; what other topics bring is kept by their source (keep: raw)", f, ownPrefix)
		}
	}
	return nil
}

// Validate checks one source against the protocols there are, naming what disagrees, and where it stands.
func (s *Source) Validate(protocols map[string]decode.Protocol) error {
	if err := s.check(protocols); err != nil {
		where := ""
		if s.Where != "" {
			where = s.Where + ": "
		}
		if s.Name == "" {
			return fmt.Errorf("%s%w: %w", where, ErrSource, err)
		}
		return fmt.Errorf("%s%w %q: %w", where, ErrSource, s.Name, err)
	}
	return nil
}

func (s *Source) check(protocols map[string]decode.Protocol) error {
	switch {
	case s.Name == "":
		return errors.New("a source has no name; give it one with name:")
	case len(s.Topics) == 0:
		return errors.New("topics is empty; say which topics it is about, such as [\"plant/{thing}/up\"]")
	case s.Owner != "" && !sensor.ValidName(s.Owner):
		return fmt.Errorf("owner %q: %w", s.Owner, sensor.ErrThingID)
	case s.Password != "" && s.PassFile != "":
		return errors.New("password and password_file are both set; keep one")
	case s.Broker == "" && (s.Client != "" || s.User != "" || s.Password != "" || s.PassFile != "" || s.Canary):
		return errors.New("client, user, password and canary say something about a broker, and broker is empty; set broker: tcp://host:1883, or leave them out")
	case s.Keep != "" && s.Keep != keepRaw:
		return fmt.Errorf("keep is %q; want raw, to keep each payload as it came, or leave it out", s.Keep)
	case s.CRS > geo.BD09:
		return fmt.Errorf("crs %v is not known", s.CRS)
	}
	if _, err := s.Settings.Location(); err != nil {
		return fmt.Errorf("%w; want an IANA name such as Asia/Shanghai or UTC", err)
	}
	if err := s.pin(); err != nil {
		return err
	}
	if s.Protocol != "" {
		p, ok := protocols[s.Protocol]
		if !ok {
			return fmt.Errorf("no protocol %q; there are %s", s.Protocol, protocolNames(protocols))
		}
		d, err := p.New(s.Settings)
		if err != nil {
			return err
		}
		if _, asks := d.(decode.Asker); s.Rebirth != nil && !asks {
			return fmt.Errorf("rebirth says something about Sparkplug nodes, and protocol is %s; leave it out", s.Protocol)
		}
	}
	if len(s.Settings.Profiles) > 0 && s.Protocol != "ttn" && s.Protocol != "chirpstack" {
		return fmt.Errorf("profiles say how raw LoRaWAN frames are read, of protocols ttn and chirpstack, and protocol is %q", s.Protocol)
	}
	for _, f := range s.Topics {
		if err := s.checkFilter(f); err != nil {
			return err
		}
	}
	s.program, s.brokerName = nil, s.shown()
	if s.Mapping.Empty() {
		return nil
	}
	var err error
	s.program, err = mapped.Compile(&s.Mapping, s.Protocol, s.Settings, partNames(s.Topics))
	return err
}

// Files are those beside the configuration that the source is made of.
func (s *Source) Files() (list []string) {
	for i := -1; i < len(s.Settings.Profiles); i++ {
		p := &s.Settings.Plugin
		if i >= 0 {
			p = &s.Settings.Profiles[i].Plugin
		}
		if p.File != "" {
			list = append(list, p.File)
		}
	}
	return list
}

// pin fixes the content of plug-ins: a file that is exchanged under the same name is another source.
func (s *Source) pin() error {
	s.Settings.Profiles = slices.Clone(s.Settings.Profiles)
	for i := range s.Settings.Profiles {
		if err := wasm.Pin(&s.Settings.Profiles[i].Plugin); err != nil {
			return err
		}
	}
	return wasm.Pin(&s.Settings.Plugin)
}

// CheckSources validates all sources of a configuration: each of them, and their names, which must differ. It prepares
// them for use.
func CheckSources(sources []Source, protocols []decode.Protocol) error {
	known := byName(protocols)
	seen := map[string]string{}
	for i := range sources {
		s := &sources[i]
		if err := s.Validate(known); err != nil {
			return err
		}
		if first, twice := seen[s.Name]; twice {
			return fmt.Errorf("%s%w: two sources are called %q%s; their names tell them apart", prefixed(s.Where, "", ": "), ErrSource, s.Name, prefixed(first, ", the first at ", ""))
		}
		seen[s.Name] = s.Where
	}
	return nil
}

func prefixed(s, before, after string) string {
	if s == "" {
		return ""
	}
	return before + s + after
}

func byName(protocols []decode.Protocol) map[string]decode.Protocol {
	m := make(map[string]decode.Protocol, len(protocols))
	for _, p := range protocols {
		m[p.Name] = p
	}
	return m
}

// fingerprint tells whether two configurations of a source are the same.
func (s *Source) fingerprint() string {
	b, err := yaml.Marshal(s)
	if err != nil {
		return err.Error() // plain fields have none
	}
	return string(b)
}

// sameConnection: what changed needs no new session with the broker.
func (s *Source) sameConnection(o *Source) bool {
	return s.Broker == o.Broker && s.Client == o.Client && s.User == o.User && s.Password == o.Password && s.PassFile == o.PassFile
}

func (s *Source) checkFilter(f string) error {
	situs := strings.HasPrefix(unshared(f), ownPrefix)
	switch err := checkLevels(f); {
	case err != nil:
		return fmt.Errorf("topic %q: %w", f, err)
	case s.Broker == "" && unshared(f) != f:
		return fmt.Errorf("topic %q: the embedded front shares nothing out; leave $share/... away", f)
	case s.Protocol == "" && !situs:
		return fmt.Errorf("topic %q needs a protocol (only situ/v1/... names its own); there is json and others, see the documentation", f)
	case s.Owner == "" && !situs && !strings.Contains(f, "{owner}"):
		return fmt.Errorf("topic %q names no {owner} and owner is empty; set owner:, or put {owner} into the topic", f)
	}
	return nil
}

// embedded is what the front's connections look their topics up in. It does not change.
type embedded struct {
	sources []*Source
	own     bool // one of them is about topics of situ's own form
}

func newEmbedded(sources []Source) *embedded {
	e := &embedded{}
	for i := range sources {
		if s := &sources[i]; s.Broker == "" {
			e.sources = append(e.sources, s)
			e.own = e.own || slices.ContainsFunc(s.Topics, func(f string) bool { return strings.HasPrefix(f, ownPrefix) })
		}
	}
	return e
}

// has reports whether there are any sources, or any about topics that begin like situ's own.
func (e *embedded) has(prefix string) bool {
	return e != nil && len(e.sources) > 0 && (prefix == "" || e.own)
}

// source finds whose topic it is: the first source with a pattern that fits. situ's own topics stay situ's unless a
// pattern begins as they do.
func (e *embedded) source(topic string) *Source {
	own := strings.HasPrefix(topic, ownPrefix)
	if e == nil || own && !e.own {
		return nil
	}
	for _, s := range e.sources {
		for _, f := range s.Topics {
			if own && !strings.HasPrefix(f, ownPrefix) || strings.HasPrefix(topic, "$") && f[0] != '$' { // [MQTT-4.7.2-1]
				continue
			}
			if _, ok := match(f, topic); ok {
				return s
			}
		}
	}
	return nil
}
