package host

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock makes the data directory this process's own until the returned function is called.
func Lock(dir string) (func(), error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("%w: data directory: %w", ErrRefused, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: data directory: %w", ErrRefused, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w: another situ is running on %s; stop it, or give this one its own --data", ErrRefused, dir)
	}
	return func() { _ = f.Close() }, nil
}

// makeDir makes a directory and those above it that are missing, so that they are found again after power loss. The last
// one's name is synced each time: whoever made it may have died before.
func makeDir(dir string) error {
	names := []string{filepath.Dir(dir)}
	for d := names[0]; d != filepath.Dir(d); d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil {
			break
		}
		names = append(names, filepath.Dir(d))
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, d := range names {
		if err := syncDir(d); err != nil && !errors.Is(err, fs.ErrPermission) { // somebody else's, who made this one
			return err
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Listen binds an address, with TLS unless cfg is nil, saying what to do when it is taken. flag names the address.
func Listen(flag, addr string, cfg *tls.Config) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w: --%s: %w; is another program on that port? give another with --%s", ErrRefused, flag, err, flag)
	}
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
	}
	return ln, nil
}

// Loopback reports whether a listen address is reachable from this machine only.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// TLS flags, shared by every command that listens.
type TLS struct {
	TLSCert  string `name:"tls-cert" help:"Certificate for what listens here (PEM)." type:"path" env:"SITU_TLS_CERT"`
	TLSKey   string `name:"tls-key" help:"Its private key (PEM)." type:"path" env:"SITU_TLS_KEY"`
	Insecure bool   `help:"Allow HTTP, and keys sent over it, beyond loopback without TLS." env:"SITU_INSECURE"`
}

// Check names settings that disagree; the flag named flag says that HTTP listens on addr ("" = it does not).
func (t *TLS) Check(flag, addr string) error {
	switch {
	case (t.TLSCert == "") != (t.TLSKey == ""):
		return fmt.Errorf("%w: --tls-cert and --tls-key belong together", ErrConfig)
	case addr != "" && !Loopback(addr) && t.TLSCert == "" && !t.Insecure:
		return fmt.Errorf("%w: --%s %s is reachable from other machines: give --tls-cert and --tls-key, or say --insecure", ErrConfig, flag, addr)
	}
	return nil
}

// Load reads the certificate; nil when there is none.
func (t *TLS) Load() (*tls.Config, error) {
	if t.TLSCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(t.TLSCert, t.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("%w: --tls-cert, --tls-key: %w", ErrRefused, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}
