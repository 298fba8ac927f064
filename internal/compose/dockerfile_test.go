package compose

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one of a Dockerfile, with its continued lines.
type instruction struct{ name, args string }

// stage is what stands between two FROM.
type stage struct {
	from, name string
	body       []instruction
}

func readDockerfile(text string) (stages []stage) {
	text = regexp.MustCompile(`\\\n`).ReplaceAllString(text, "")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		name = strings.ToUpper(name)
		if name == "FROM" {
			from, as, _ := strings.Cut(args, " AS ")
			stages = append(stages, stage{from: from, name: as})
		} else if len(stages) > 0 {
			s := &stages[len(stages)-1]
			s.body = append(s.body, instruction{name, strings.TrimSpace(args)})
		}
	}
	return stages
}

// last is the arguments of a stage's last instruction of that name.
func (s *stage) last(name string) (args string) {
	for _, i := range s.body {
		if i.name == name {
			args = i.args
		}
	}
	return args
}

// lint lists what a Dockerfile does against situ's rules. targets are the stages that are run.
func lint(text string, targets []string) (list []string) {
	say := func(what string) { list = append(list, what) }
	stages := readDockerfile(text)
	names := map[string]bool{"scratch": true}
	for i := range stages {
		s := &stages[i]
		if s.name == "" || names[s.name] {
			say("stage " + s.from + " has no name of its own")
		}
		if !names[s.from] && !exactBase.MatchString(s.from) {
			say("base " + s.from + " is not pinned")
		}
		for _, in := range s.body {
			list = append(list, lintInstruction(s, in, names)...)
		}
		if slices.Contains(targets, s.name) {
			list = append(list, lintTarget(s)...)
		}
		names[s.name] = true
	}
	for _, target := range targets {
		if !names[target] {
			say("no stage " + target)
		}
	}
	return list
}

// A tag of three numbers, or of two and the distribution's name.
var (
	exactBase = regexp.MustCompile(`^[a-z0-9/-]+:(\d+\.\d+\.\d+-[a-z]+(-slim)?|\d+\.\d+-slim)$`)
	secretish = regexp.MustCompile(`(?i)(password|secret|token|api_?key)`)
	hostName  = regexp.MustCompile(`(?i)\b([a-z0-9-]+\.)+(com|org|io|net|dev|cn)\b`)
)

func lintInstruction(s *stage, in instruction, names map[string]bool) (list []string) {
	switch in.name {
	case "ADD":
		list = append(list, s.name+": ADD fetches and unpacks; COPY does neither")
	case "ENV", "ARG":
		if secretish.MatchString(in.args) {
			list = append(list, s.name+": a secret in "+in.name)
		}
	case "COPY":
		if from, ok := strings.CutPrefix(strings.Fields(in.args)[0], "--from="); ok && !names[from] {
			list = append(list, s.name+": copies from "+from+", which is no stage before it")
		}
	case "RUN":
		if strings.Contains(in.args, "curl ") || strings.Contains(in.args, "wget ") || strings.Contains(in.args, "apt-get") {
			list = append(list, s.name+": fetches what is not pinned")
		}
	}
	if name := hostName.FindString(in.args); name != "" && !strings.HasPrefix(in.args, "flags=") { // the module's own name
		list = append(list, s.name+": names the host "+name)
	}
	return list
}

func lintTarget(s *stage) (list []string) {
	if u := s.last("USER"); u != "65532:65532" {
		list = append(list, s.name+": runs as "+u)
	}
	if want := `["/usr/local/bin/` + s.name + `"]`; s.last("ENTRYPOINT") != want {
		list = append(list, s.name+": starts "+s.last("ENTRYPOINT"))
	}
	if len(s.body) > 0 && s.last("RUN") != "" {
		list = append(list, s.name+": builds in the stage that is run")
	}
	return list
}

func TestDockerfile(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	text, targets := string(b), []string{"gateway", "ingester", "query"}
	for _, why := range lint(text, targets) {
		t.Error(why)
	}
	gateway := strings.Index(text, "CGO_ENABLED=0 go build")
	if gateway < 0 || !strings.Contains(text[gateway:strings.IndexByte(text[gateway:], '\n')+gateway], "./cmd/gateway") {
		t.Error("gateway is not built without cgo, and stands on scratch")
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(mod), "\ngo ")
	if version, _, _ := strings.Cut(rest, "\n"); !strings.Contains(text, "FROM golang:"+version+"-") {
		t.Errorf("Go of go.mod is %s, the image's another", version)
	}
	for _, c := range []struct{ old, bad, want string }{
		{"node:20.20.2-bookworm-slim", "node:latest", "base node:latest is not pinned"},
		{"FROM scratch AS gateway", "FROM scratch", "has no name"},
		{"AS query", "AS queri", "no stage query"},
		{"USER 65532:65532\nENTRYPOINT [\"/usr/local/bin/gateway\"]", "ENTRYPOINT [\"/usr/local/bin/gateway\"]", "gateway: runs as"},
		{"--from=page", "--from=pages", "copies from pages"},
		{"ARG VERSION=unknown", "ARG NPM_TOKEN", "a secret in ARG"},
		{"COPY . .", "ADD . .", "ADD fetches"},
		{"RUN go mod download", "RUN GOPROXY=https://mirror.example.com go mod download", "names the host mirror.example.com"},
		{"RUN go mod download", "RUN apt-get update", "fetches what is not pinned"},
		{"COPY --from=build /out/query /usr/local/bin/query", "RUN go build ./cmd/query", "builds in the stage"},
	} {
		if said := strings.Join(lint(strings.Replace(text, c.old, c.bad, 1), targets), "\n"); !strings.Contains(said, c.want) {
			t.Errorf("%q: said %q, want %q", c.bad, said, c.want)
		}
	}
}

// What the build copies is there, and .dockerignore keeps keys, data and the history out without keeping that out.
func TestDockerignore(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	for _, must := range []string{".git", "secrets", "data", "*-data", "bin", "**/node_modules"} {
		if !slices.Contains(lines, must) {
			t.Errorf("%s is sent to the build", must)
		}
	}
	for _, needed := range []string{"web/package.json", "web/package-lock.json", "web/.npmrc", "go.mod", "go.sum", "cmd/gateway/main.go", "schema/properties.csv", "engine/package.json"} {
		if _, err := os.Stat(filepath.Join(root, needed)); err != nil {
			t.Error(err)
		}
		for _, line := range lines {
			if line != "" && line[0] != '#' && (needed == line || strings.HasPrefix(needed, line+"/")) {
				t.Errorf("%s is kept out by %s", needed, line)
			}
		}
	}
}
