package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // an edge box or an image from scratch has no time zones of its own; frames are in the local one

	"github.com/alecthomas/kong"

	"github.com/situ-city/situ/internal/version"
)

// Exit codes, beside 0: everything is done.
const (
	ExitFailed  = 1  // it ran, and something went wrong
	ExitUsage   = 2  // the command line or the configuration is wrong
	ExitRefused = 78 // it cannot start here: directory in use, port in use (EX_CONFIG)
)

// Base flags, of every process that runs one stage.
type Base struct {
	ConfigFile string `name:"config" help:"Configuration file (YAML): flags by name, and sources." type:"path" env:"SITU_CONFIG"`
	Logging
	Health  string           `help:"Ask this address (http://127.0.0.1:8081/healthz of one that runs) and exit with 0 if it answers 200: a container's health check." placeholder:"URL"`
	Version kong.VersionFlag `help:"Say which build this is."`
}

// Main is the main of a process of one command: it reads the flags into cli, which is a pointer to a struct, from
// args, the environment and the configuration file, calls run until a signal ends its context, and gives the exit
// code. A second signal ends the process at once.
func Main(name, description string, cli any, args []string, run func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if len(args) == 2 && args[0] == "--health" { // before the flags that a process needs
		return Exit(name, askHealth(ctx, args[1]))
	}
	res, err := Resolver(args)
	if err != nil {
		return Exit(name, err)
	}
	exited := -1
	parser, err := kong.New(cli, kong.Name(name), kong.Description(description), kong.Resolvers(res),
		kong.Vars{"version": version.String()}, kong.Exit(func(code int) { exited = code }))
	if err != nil {
		return Exit(name, err)
	}
	_, err = parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		return Exit(name, fmt.Errorf("%w: %w; see %s --help", ErrConfig, err, name))
	}
	return Exit(name, run(ctx))
}

// askHealth fails unless url answers 200.
func askHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("%w: --health: %w", ErrConfig, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	why, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // only to say more
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, res.Status, bytes.TrimSpace(why))
	}
	return nil
}

const healthWithin = 5 * time.Second

// Exit turns an error into an exit code, saying it once.
func Exit(name string, err error) int {
	if err == nil || errors.Is(err, context.Canceled) {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	switch {
	case errors.Is(err, ErrConfig):
		return ExitUsage
	case errors.Is(err, ErrRefused):
		return ExitRefused
	}
	return ExitFailed
}
