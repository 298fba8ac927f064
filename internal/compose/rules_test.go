package compose

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// broken lists what a service of docker-compose.yml does against situ's rules.
func broken(p *types.Project, s types.ServiceConfig) (list []string) {
	say := func(format string, args ...any) { list = append(list, s.Name+": "+fmt.Sprintf(format, args...)) }
	for _, rule := range []func(*types.Project, types.ServiceConfig, func(string, ...any)){
		pinned, watched, bounded, nearby, mounted, silent, hardened, understood,
	} {
		rule(p, s, say)
	}
	return list
}

// A tag of three numbers, or a digest; what is built here has no tag to pin.
var exactTag = regexp.MustCompile(`:v?\d+\.\d+\.\d+[\w.-]*$|:\d+\.\d+-[a-z]+$|@sha256:[0-9a-f]{64}$`)

func pinned(_ *types.Project, s types.ServiceConfig, say func(string, ...any)) {
	if s.Build == nil && !exactTag.MatchString(s.Image) {
		say("image %s is not pinned", s.Image)
	}
}

// watched: each has a health check, and what it needs is waited for by its own.
func watched(p *types.Project, s types.ServiceConfig, say func(string, ...any)) {
	if h := s.HealthCheck; h == nil || h.Disable || len(h.Test) < 2 || h.Interval == nil || h.Timeout == nil || h.Retries == nil {
		say("no whole health check")
	}
	for name, d := range s.DependsOn {
		if d.Condition != types.ServiceConditionHealthy {
			say("waits for %s to be %s, not healthy", name, d.Condition)
		}
	}
	if s.Restart != types.RestartPolicyUnlessStopped {
		say("restart is %q", s.Restart)
	}
}

func bounded(_ *types.Project, s types.ServiceConfig, say func(string, ...any)) {
	if s.Deploy == nil || s.Deploy.Resources.Limits == nil {
		say("no limits")
		return
	}
	if l := s.Deploy.Resources.Limits; l.NanoCPUs <= 0 || l.MemoryBytes <= 0 || l.Pids <= 0 {
		say("limits %+v leave something out", l)
	}
	if s.Logging == nil || s.Logging.Options["max-size"] == "" {
		say("logs without a bound")
	}
}

func nearby(_ *types.Project, s types.ServiceConfig, say func(string, ...any)) {
	for _, port := range s.Ports {
		if port.HostIP != "127.0.0.1" {
			say("port %s is published on %q", port.Published, port.HostIP)
		}
	}
	if s.NetworkMode != "" && s.NetworkMode != "bridge" || s.Privileged {
		say("network mode %q, privileged %v", s.NetworkMode, s.Privileged)
	}
}

// mounted: data in volumes that have a name, files that are there and read-only.
func mounted(p *types.Project, s types.ServiceConfig, say func(string, ...any)) {
	for _, v := range s.Volumes {
		switch _, named := p.Volumes[v.Source]; {
		case v.Type == types.VolumeTypeVolume && !named:
			say("volume %q on %s has no name", v.Source, v.Target)
		case v.Type == types.VolumeTypeBind && !v.ReadOnly:
			say("%s is mounted for writing", v.Source)
		case v.Type == types.VolumeTypeBind:
			if _, err := os.Stat(v.Source); err != nil {
				say("mounts what is not there: %v", err)
			}
		}
	}
	for _, secret := range s.Secrets {
		if f := p.Secrets[secret.Source]; f.File == "" || f.Environment != "" || f.Content != "" {
			say("secret %s is no file", secret.Source)
		}
	}
}

var secretName = regexp.MustCompile(`(?i)(password|passwd|secret|token|key|dsn|clickhouse)`)

// silent: no secret stands in the environment or on a command line; a file that is named is one that is mounted.
func silent(_ *types.Project, s types.ServiceConfig, say func(string, ...any)) {
	for name, value := range s.Environment {
		if file, is := strings.CutSuffix(name, "_FILE"); is && secretName.MatchString(file) {
			if value == nil || !hasSecret(s, *value) {
				say("%s names no mounted secret", name)
			}
			continue
		}
		if secretName.MatchString(name) && name != "CLICKHOUSE_SKIP_USER_SETUP" {
			say("%s stands in the environment", name)
		}
		if value != nil && hasPassword(*value) {
			say("%s holds a password", name)
		}
	}
	for _, arg := range slices.Concat(s.Command, s.Entrypoint) {
		flag, value, _ := strings.Cut(arg, "=")
		if hasPassword(value) || secretName.MatchString(flag) && !strings.HasSuffix(flag, "-file") && !slices.Contains(openFlags, flag) {
			say("%s is a secret on a command line", flag)
		}
		if strings.HasPrefix(value, "/run/secrets/") && !hasSecret(s, value) {
			say("%s names no mounted secret", flag)
		}
	}
}

// openFlags look like secrets and are none: an address whose password stands elsewhere (hasPassword looks), a port.
var openFlags = []string{"--registry-dsn", "--clickhouse-http"}

func hasSecret(s types.ServiceConfig, file string) bool {
	return slices.ContainsFunc(s.Secrets, func(secret types.ServiceSecretConfig) bool {
		target := secret.Target
		if target == "" {
			target = secret.Source
		}
		if !path.IsAbs(target) {
			target = "/run/secrets/" + target
		}
		return target == file
	})
}

func hasPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return false
	}
	_, given := u.User.Password()
	return given
}

// hardened: nobody gains rights; situ's own run as nobody, on a file system they cannot write.
func hardened(_ *types.Project, s types.ServiceConfig, say func(string, ...any)) {
	if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		say("may gain privileges")
	}
	if s.Build != nil && (!s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.User != "65532:65532") {
		say("read-only %v, drops %v, runs as %q", s.ReadOnly, s.CapDrop, s.User)
	}
}

// understood: the program knows every flag and takes every value.
func understood(_ *types.Project, s types.ServiceConfig, say func(string, ...any)) {
	cli := grammar(s.Name)
	if cli == nil {
		return
	}
	args := slices.Clone([]string(s.Command))
	for _, required := range []string{"SITU_REGISTRY_KEY", "SITU_CLICKHOUSE"} { // they come by file
		flag := "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(required, "SITU_"), "_", "-"))
		if s.Environment[required+"_FILE"] != nil {
			args = append(args, flag+"=clickhouse://h:9000")
		}
	}
	if err := parse(cli, args); err != nil {
		say("%s does not take its command: %v", s.Name, err)
	}
	check := s.HealthCheck
	if check == nil || len(check.Test) != 4 {
		say("its health check is not the program itself")
		return
	}
	if check.Test[1] != "/usr/local/bin/"+s.Name || check.Test[2] != "--health" {
		say("its health check is %v", check.Test)
	}
}

func TestDockerCompose(t *testing.T) {
	text := composeText(t)
	for profile, services := range profiles {
		p, err := load(t.Context(), text, profile, nil)
		if err != nil {
			t.Errorf("%s: %v", profile, err)
			continue
		}
		if got := slices.Sorted(maps.Keys(p.Services)); !slices.Equal(got, services) {
			t.Errorf("%s runs %v, want %v", profile, got, services)
		}
		for _, s := range p.Services {
			for _, why := range broken(p, s) {
				t.Errorf("%s: %s", profile, why)
			}
		}
	}
	used := map[string]bool{}
	p, err := load(t.Context(), text, "scale", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Services {
		for _, v := range s.Volumes {
			used[v.Source] = true
		}
		for _, secret := range s.Secrets {
			used[secret.Source] = true
		}
	}
	for _, name := range slices.Concat(p.VolumeNames(), p.SecretNames()) {
		if !used[name] {
			t.Errorf("%s is used by nobody", name)
		}
	}
}

// Each rule bites: one line changed, and the file is refused for it.
func TestRulesBite(t *testing.T) {
	text := composeText(t)
	for _, c := range []struct{ old, bad, want string }{
		{"image: eclipse-mosquitto:2.0.22", "image: eclipse-mosquitto:latest", "is not pinned"},
		{"image: eclipse-mosquitto:2.0.22", "image: eclipse-mosquitto:2", "is not pinned"},
		{"image: eclipse-mosquitto:2.0.22", "imagine: x", "services.mqtt.imagine"},
		{`test: ["CMD", "nc", "-z", "127.0.0.1", "1883"]`, `disable: true`, "no whole health check"},
		{"clickhouse: {condition: service_healthy}", "clickhouse: {condition: service_started}", "not healthy"},
		{"clickhouse: {condition: service_healthy}", "clickhaus: {condition: service_healthy}", `depends on undefined service "clickhaus"`},
		{`deploy: {resources: {limits: {cpus: "1", memory: 256M, pids: 64}}}`, "", "no limits"},
		{`"127.0.0.1:8081:8081"`, `"8081:8081"`, "is published on"},
		{"- mqtt:/mosquitto/data", "- /mosquitto/data", "has no name"},
		{"- mqtt:/mosquitto/data", "- mqqt:/mosquitto/data", "undefined volume mqqt"},
		{"./docs/operations/mosquitto.acl:", "./docs/operations/mosquito.acl:", "mounts what is not there"},
		{"mosquitto.acl:ro", "mosquitto.acl", "is mounted for writing"},
		{`mqtt_users: {file: "${SITU_SECRETS:-./secrets}/mqtt_users"}`, "mqtt_users: {environment: MQTT_USERS}", "is no file"},
		{"POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password", "POSTGRES_PASSWORD: sesame", "stands in the environment"},
		{"POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password", "POSTGRES_PASSWORD_FILE: /run/secrets/postgres", "names no mounted secret"},
		{"SITU_AUTO_REGISTER: ${SITU_AUTO_REGISTER:-false}", "SITU_REGISTRY: http://u:sesame@query", "holds a password"},
		{"postgres://situ@", "postgres://situ:sesame@", "secret on a command line"},
		{"- --spool-bytes=8589934592", "- --registry-key=situ_admin", "secret on a command line"},
		{"- --spool-bytes=8589934592", "- --spool-byte=1", "unknown flag --spool-byte"},
		{"- --spool-bytes=8589934592", "- --spool-bytes=8GB", "--spool-bytes"},
		{"read_only: true", "read_only: false", "read-only false"},
		{`security_opt: ["no-new-privileges:true"]`, "", "may gain privileges"},
		{`"/usr/local/bin/query", "--health"`, `"/usr/local/bin/query", "--healthy"`, "its health check is"},
	} {
		if strings.Count(text, c.old) == 0 {
			t.Errorf("%q is not in the file any more", c.old)
			continue
		}
		var said []string
		p, err := load(t.Context(), strings.Replace(text, c.old, c.bad, 1), "scale", nil)
		if err != nil {
			said = append(said, err.Error())
		} else {
			for _, s := range p.Services {
				said = append(said, broken(p, s)...)
			}
		}
		if !strings.Contains(strings.Join(said, "\n"), c.want) {
			t.Errorf("%q for %q: said %q, want %q", c.bad, c.old, said, c.want)
		}
	}
}

// What is mounted at a service's path names only what is mounted there too.
func TestMountedFilesAgree(t *testing.T) {
	p, err := load(t.Context(), composeText(t), "scale", nil)
	if err != nil {
		t.Fatal(err)
	}
	inside := regexp.MustCompile(`/(?:run/secrets|mosquitto)/[\w./-]+`)
	for _, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			b, err := os.ReadFile(v.Source)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range inside.FindAllString(string(b), -1) {
				there := slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == strings.TrimSuffix(file, "/") })
				if !there && !hasSecret(s, file) && !(s.Name == "query" && strings.HasSuffix(file, "mqtt_gateway_password")) { // it never connects
					t.Errorf("%s: %s names %s, which is not mounted", s.Name, filepath.Base(v.Source), file)
				}
			}
		}
	}
}
