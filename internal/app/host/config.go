package host

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"

	"github.com/situ-city/situ/internal/gateway"
)

// Logging flags, shared by every command that serves.
type Logging struct {
	Level  string `name:"log-level" help:"debug, info, warn or error." default:"info" enum:"debug,info,warn,error" env:"SITU_LOG_LEVEL"`
	Format string `name:"log-format" help:"text or json." default:"text" enum:"text,json" env:"SITU_LOG_FORMAT"`
}

// Logger makes the process's logger. It writes to w and never sees a secret: keys and passwords are not attributes.
func (l Logging) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // the enum has checked it
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// File is the configuration file: any flag of the command by its name, and the sources (docs/sources.md). Sources are
// read again when the file changes; see Reloader.
//
//	http: 127.0.0.1:8080
//	sources:
//	  - name: plant
//	    broker: tcp://10.0.0.5:1883
//	    topics: ["factory/+/{thing}/up"]
//	    protocol: json
//	    owner: plant
type File struct {
	Sources []gateway.Source `yaml:"sources"`
	Flags   map[string]any   `yaml:",inline"`

	path   string
	sum    [sha256.Size]byte // of its bytes, and of those beside it
	beside []string          // files that the sources are made of
}

// ReadFile reads a configuration file; path "" is an empty one.
func ReadFile(path string) (*File, error) {
	f := &File{path: path}
	if path == "" {
		return f, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	f.sum = sha256.Sum256(b)
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, path, plain(err))
	}
	f.locate(b)
	f.sum = sha256.Sum256(append(f.sum[:], f.others()...))
	return f, nil
}

// others tells the contents of the files that the sources are made of. One that cannot be read says so when the sources
// are checked.
func (f *File) others() (sums []byte) {
	for i := range f.Sources {
		for _, path := range f.Sources[i].Files() {
			f.beside = append(f.beside, path)
			in, err := os.Open(path)
			if err != nil {
				continue
			}
			h := sha256.New()
			_, _ = io.Copy(h, io.LimitReader(in, maxBeside)) // what cannot be read to its end has another sum next time
			_ = in.Close()
			sums = h.Sum(append(sums, path...))
		}
	}
	return sums
}

// maxBeside bounds what is read of a file beside the configuration.
const maxBeside = 64 << 20

// plain says yaml's complaint about an unknown key in words of the file.
func plain(err error) error {
	if text := goType.ReplaceAllString(err.Error(), "is no setting of a source; see docs/sources.md"); text != err.Error() {
		return errors.New(text)
	}
	if strings.Contains(err.Error(), "expected ',' or ']'") {
		return fmt.Errorf("%w; text with {} inside [] needs quotes: [\"a/{thing}\"]", err)
	}
	return err
}

var goType = regexp.MustCompile(`not found in type [a-z]+\.[A-Za-z]+`)

// locate tells each source where it stands in the file.
func (f *File) locate(b []byte) {
	var where struct {
		Sources []yaml.Node `yaml:"sources"`
	}
	if err := yaml.Unmarshal(b, &where); err != nil || len(where.Sources) != len(f.Sources) {
		return // it was readable a moment ago; without lines then
	}
	for i := range f.Sources {
		f.Sources[i].Where = fmt.Sprintf("%s:%d", f.path, where.Sources[i].Line)
	}
}

// resolver gives kong the file's flags. A flag beats SITU_* beats the file: kong asks a resolver even where the
// environment has spoken, so it stays silent there.
type resolver struct {
	path string
	file *File
}

// Resolver is for kong.Resolvers: it finds --config by itself, before flags are parsed.
func Resolver(args []string) (kong.Resolver, error) {
	path := os.Getenv("SITU_CONFIG")
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			path = v
		} else if a == "--config" && i+1 < len(args) {
			path = args[i+1]
		}
	}
	f, err := ReadFile(path)
	return &resolver{path, f}, err
}

// Validate refuses a key of the file that is no flag of any command: a misspelt setting must not be ignored.
func (r *resolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[f.Name] = true
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(app.Node)
	for name := range r.file.Flags {
		if !known[name] {
			return fmt.Errorf("%w: %s: %q is no setting", ErrConfig, r.path, name)
		}
	}
	return nil
}

// Resolve implements kong.Resolver. SITU_X_FILE names a file that holds what SITU_X would: a secret that is mounted.
func (r *resolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		path, byFile := os.LookupEnv(name + "_FILE")
		if _, ok := os.LookupEnv(name); ok {
			if byFile {
				return nil, fmt.Errorf("%w: %s and %s_FILE are both set", ErrConfig, name, name)
			}
			return nil, nil
		}
		if byFile {
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("%w: %s_FILE: %w", ErrConfig, name, err)
			}
			return strings.TrimRight(string(b), "\r\n"), nil
		}
	}
	v, ok := r.file.Flags[flag.Name]
	if !ok {
		return nil, nil
	}
	if list, ok := v.([]any); ok {
		words := make([]string, len(list))
		for i, w := range list {
			words[i] = fmt.Sprint(w)
		}
		return strings.Join(words, ","), nil
	}
	return fmt.Sprint(v), nil
}
