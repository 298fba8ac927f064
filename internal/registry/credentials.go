package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

var (
	// ErrUser: an MQTT user name is 1 to 128 bytes of UTF-8 without blanks and control characters.
	ErrUser = errors.New("not a user name (want 1 to 128 bytes without blanks)")
	// ErrCredential: there is no such credential that is not revoked.
	ErrCredential = errors.New("no such credential")
)

// Credential is what may be shown of an MQTT credential: everything but its password, which nobody has.
type Credential struct {
	User    string     `json:"user"`
	Scope   TopicScope `json:"scope"`
	Created time.Time  `json:"created"`
	Rotated *time.Time `json:"rotated,omitempty"` // when the present password was issued, unless that is the first
	Revoked *time.Time `json:"revoked,omitempty"`
}

type storedCredential struct {
	Credential
	hash    [sha256.Size]byte
	version uint64
}

// credentialSet is immutable; a new one takes its place (see index).
type credentialSet struct {
	users   index[storedCredential]
	version uint64
}

// noHash stands in for an unknown user's, so that an unknown name and a wrong password take the same time.
var noHash [sha256.Size]byte

// CheckCredential tells where user may publish, if the password is right. It reads memory only. The password holds 256
// random bits, so one round of SHA-256 is enough: there is nothing to guess. The comparison takes constant time.
func (r *Registry) CheckCredential(user string, password []byte) (TopicScope, bool) {
	given := sha256.Sum256(password)
	c := r.credentials.Load().users.get(xxhash.Sum64String(user))
	want := &noHash
	if c != nil && c.User == user && c.Revoked == nil {
		want = &c.hash
	}
	if subtle.ConstantTimeCompare(given[:], want[:]) != 1 || want == &noHash {
		return "", false
	}
	return c.Scope, true
}

// IssueCredential makes a password for user, 43 characters holding 32 random bytes, and returns it: it can never be read again.
// For a user that has one already, the old password stops working at once (rotation); the scope becomes the given one.
func (r *Registry) IssueCredential(ctx context.Context, user string, scope TopicScope) (password string, err error) {
	if user == "" || len(user) > 128 || !utf8.ValidString(user) || strings.IndexFunc(user, isBlank) >= 0 {
		return "", fmt.Errorf("issue credential to %q: %w", user, ErrUser)
	}
	if scope, err = ParseTopicScope(string(scope)); err != nil {
		return "", fmt.Errorf("issue credential to %s: %w", user, err)
	}
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	password = base64.RawURLEncoding.EncodeToString(secret)
	hash := sha256.Sum256([]byte(password))
	err = r.updateCredentials(ctx, `INSERT INTO credentials ("user", scope, hash, created, version)
		VALUES ($1, $2, $3, $4, (SELECT coalesce(max(version), 0) + 1 FROM credentials))
		ON CONFLICT ("user") DO UPDATE SET scope = excluded.scope, hash = excluded.hash, rotated = excluded.created,
			revoked = NULL, version = excluded.version`, user, string(scope), hash[:], r.now())
	if err != nil {
		return "", fmt.Errorf("issue credential to %s: %w", user, err)
	}
	return password, nil
}

func isBlank(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }

// RevokeCredential ends a credential at once: new connections are refused. ErrCredential if there is none.
func (r *Registry) RevokeCredential(ctx context.Context, user string) error {
	err := r.updateCredentials(ctx, `UPDATE credentials SET revoked = $2,
		version = (SELECT max(version) + 1 FROM credentials) WHERE "user" = $1 AND revoked IS NULL`, user, r.now())
	if err != nil {
		return fmt.Errorf("revoke credential of %q: %w", user, err)
	}
	return nil
}

// Credentials lists all credentials, revoked ones too, in no particular order.
func (r *Registry) Credentials() []Credential {
	set := r.credentials.Load()
	all := make([]Credential, 0, set.users.n)
	set.users.walk(0, func(_ uint64, c *storedCredential) bool { all = append(all, c.Credential); return true })
	return all
}

// updateCredentials runs one statement that must touch a row, and shows its effect.
func (r *Registry) updateCredentials(ctx context.Context, statement string, args ...any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.again(ctx, func(ctx context.Context) error { return r.updateCredentialsOnce(ctx, statement, args...) })
}

func (r *Registry) updateCredentialsOnce(ctx context.Context, statement string, args ...any) error {
	tx, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	done, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrCredential)
	}
	set, err := readCredentials(ctx, tx, r.credentials.Load())
	if err != nil {
		return err
	}
	if err := commit(ctx, tx); err != nil {
		return err
	}
	r.credentials.Store(set)
	return nil
}

func (r *Registry) loadCredentials(ctx context.Context) error {
	r.credentials.Store(&credentialSet{})
	tx, err := r.read.BeginTx(ctx, r.words.reading)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return r.refreshCredentials(ctx, tx)
}

func (r *Registry) refreshCredentials(ctx context.Context, tx *sql.Tx) error {
	set, err := readCredentials(ctx, tx, r.credentials.Load())
	if err == nil {
		r.credentials.Store(set)
	}
	return err
}

// readCredentials gives a set that also holds what was written since old.
func readCredentials(ctx context.Context, tx *sql.Tx, old *credentialSet) (*credentialSet, error) {
	rows, err := tx.QueryContext(ctx, `SELECT "user", scope, hash, created, rotated, revoked, version
		FROM credentials WHERE version > $1 ORDER BY version`, int64(old.version))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	set, e := *old, &edit{}
	for rows.Next() {
		var c storedCredential
		var hash []byte
		var created int64
		var rotated, revoked sql.NullInt64
		if err := rows.Scan(&c.User, &c.Scope, &hash, &created, &rotated, &revoked, &c.version); err != nil {
			return nil, err
		}
		if copy(c.hash[:], hash) != len(c.hash) {
			return nil, fmt.Errorf("credential of %q: %w", c.User, ErrCorrupt)
		}
		c.Created, c.Rotated, c.Revoked = time.UnixMilli(created).UTC(), instant(rotated), instant(revoked)
		key := xxhash.Sum64String(c.User)
		if other := set.users.get(key); other != nil && other.User != c.User {
			return nil, fmt.Errorf("users %q and %q: %w", other.User, c.User, ErrCollision)
		}
		set.users.put(e, key, &c)
		set.version = c.version
	}
	return &set, rows.Err()
}

func instant(ms sql.NullInt64) *time.Time {
	if !ms.Valid {
		return nil
	}
	t := time.UnixMilli(ms.Int64).UTC()
	return &t
}
