package compose

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/app/edge"
	"github.com/situ-city/situ/internal/app/host"
)

const root = "../.."

// profiles of docker-compose.yml, and what each runs.
var profiles = map[string][]string{
	"edge":  {"gateway", "mqtt"},
	"scale": {"clickhouse", "gateway", "ingester", "kafka", "mqtt", "postgres", "query"},
}

// What the three programs read their command lines with, as in cmd/*.
type (
	gatewayCLI struct {
		edge.Config
		host.Base
	}
	ingesterCLI struct {
		app.IngesterConfig
		host.Base
	}
	queryCLI struct {
		app.QueryConfig
		host.Base
	}
)

func grammar(service string) any {
	switch service {
	case "gateway":
		return new(gatewayCLI)
	case "ingester":
		return new(ingesterCLI)
	case "query":
		return new(queryCLI)
	}
	return nil
}

func composeText(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// load reads a compose file by the specification: schema, interpolation, paths, consistency.
func load(ctx context.Context, text, profile string, environment map[string]string) (*types.Project, error) {
	dir, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	return loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "docker-compose.yml"), Content: []byte(text)}},
		Environment: environment,
	}, loader.WithProfiles([]string{profile}))
}

// parse reads a command line as the program does, with the variables of its service.
func parse(cli any, args []string) error {
	res, err := host.Resolver(nil) // its configuration file is checked for being there, not read: the path is a container's
	if err != nil {
		return err
	}
	parser, err := kong.New(cli, kong.Vars{"version": ""}, kong.Resolvers(res), kong.Exit(func(int) {}))
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	return err
}
