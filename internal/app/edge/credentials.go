package edge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/situ-city/situ/internal/registry"
)

// credentials are a gateway's own: the registry never puts its passwords into the feed that gateways follow. A file
// holds a line each, blank ones and those that begin with # aside:
//
//	user:SHA-256 of the password, 64 hexadecimal digits:scope
//
// scope is "owner/name", "owner" or "*" (registry.TopicScope). One round of SHA-256 is enough for passwords of 32
// random bytes, and for nothing that a person thought of. The file is read again when it changes; a client that is
// connected stays so.
type credentials struct {
	path   string
	logger *slog.Logger
	users  atomic.Pointer[map[string]credential]

	seen os.FileInfo // owned by watch
}

type credential struct {
	hash  [sha256.Size]byte
	scope registry.TopicScope
}

const credentialsPoll = 2 * time.Second

var errCredentials = errors.New("want user:sha256:scope")

// openCredentials reads the file; path "" lets nobody in.
func openCredentials(path string, logger *slog.Logger) (*credentials, error) {
	c := &credentials{path: path, logger: logger}
	c.users.Store(&map[string]credential{})
	if path == "" {
		return c, nil
	}
	return c, c.load()
}

func (c *credentials) load() error {
	info, err := os.Stat(c.path)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(c.path)
	if err != nil {
		return err
	}
	c.seen = info
	users, err := parseCredentials(b)
	if err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	c.users.Store(&users)
	return nil
}

func parseCredentials(text []byte) (map[string]credential, error) {
	users := map[string]credential{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		user, c, err := parseCredential(line)
		if _, twice := users[user]; err == nil && twice {
			err = fmt.Errorf("user %q is there twice", user)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err) // never the line itself: logs are read by many
		}
		users[user] = c
	}
	return users, lines.Err()
}

func parseCredential(line string) (user string, c credential, err error) {
	rest, scope := cutLast(line)
	user, hash := cutLast(rest)
	sum, err := hex.DecodeString(hash)
	if user == "" || err != nil || len(sum) != len(c.hash) {
		return "", c, errCredentials
	}
	if copy(c.hash[:], sum); c.hash == sha256.Sum256(nil) {
		return "", c, errors.New("the password is empty") // what a forgotten variable in a script makes
	}
	c.scope, err = registry.ParseTopicScope(scope)
	return user, c, err
}

// cutLast splits at the last colon, so that a user's name may hold some.
func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, ':')
	return s[:max(i, 0)], s[i+1:]
}

// CheckCredential tells where user may publish, if the password is right, in constant time.
func (c *credentials) CheckCredential(user string, password []byte) (registry.TopicScope, bool) {
	given := sha256.Sum256(password)
	found, ok := (*c.users.Load())[user]
	same := subtle.ConstantTimeCompare(given[:], found.hash[:]) == 1
	if !ok || !same {
		return "", false
	}
	return found.scope, true
}

// watch reads the file again when it changes, until ctx ends. One that cannot be read leaves the old in force.
func (c *credentials) watch(ctx context.Context) error {
	tick := time.NewTicker(credentialsPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if c.path == "" || !c.changed() {
			continue
		}
		if err := c.load(); err != nil {
			c.logger.Error("credentials not read; the ones from before stay in force", "component", "gateway", "err", err)
			continue
		}
		c.logger.Info("credentials read", "component", "gateway", "users", len(*c.users.Load()))
	}
}

func (c *credentials) changed() bool {
	now, err := os.Stat(c.path)
	if err != nil {
		return false // perhaps being replaced
	}
	return now.ModTime() != c.seen.ModTime() || now.Size() != c.seen.Size() || !os.SameFile(now, c.seen)
}
