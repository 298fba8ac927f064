package all

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

// What JSON does not have by its letter passes, unless the source is strict: of every protocol that is JSON, one golden case
// is read as it is, behind a byte order mark, and with a name twice.
func TestStrictJSON(t *testing.T) {
	// senml takes what it is sent; json refuses one value, not the payload (json/doc.go).
	perValue := map[string]bool{"senml": true, "json": true}
	checked := 0
	for _, p := range Protocols() {
		payload, topic, ok := usual(t, p)
		if !ok {
			continue
		}
		checked++
		decoded := func(strict bool, payload []byte) error {
			t.Helper()
			d, err := p.New(decode.Settings{Strict: strict, Zone: "UTC"})
			if err != nil {
				t.Fatal(p.Name, err)
			}
			_, err = decode.DecodeOn(d, nil, topic, payload)
			return err
		}
		marked := append([]byte("\ufeff"), payload...)
		brace := bytes.IndexByte(payload, '{') + 1
		twice := append(append(append([]byte(nil), payload[:brace]...), `"situ-x":null,"situ-x":null,`...), payload[brace:]...)
		if err := decoded(false, marked); err != nil {
			t.Errorf("%s: a byte order mark: %v", p.Name, err)
		}
		if err := decoded(true, marked); p.Name != "senml" && !errors.Is(err, decode.ErrEncoding) {
			t.Errorf("%s, strict: a byte order mark: %v", p.Name, err)
		}
		if perValue[p.Name] {
			continue
		}
		if err := decoded(false, twice); err != nil {
			t.Errorf("%s: a name twice: %v", p.Name, err)
		}
		if err := decoded(true, twice); !errors.Is(err, decode.ErrMalformed) || !strings.Contains(err.Error(), "situ-x") {
			t.Errorf("%s, strict: a name twice: %v", p.Name, err)
		}
	}
	if checked < 15 {
		t.Errorf("only %d protocols were found to be JSON", checked)
	}
}

// usual finds a golden case of a protocol that is a JSON object, or an array of them, with readings, also by a strict source.
func usual(t *testing.T, p decode.Protocol) (payload []byte, topic string, ok bool) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join("..", "..", "..", "testdata", "payloads", p.Name, "*", "payload"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		if _, err := os.Stat(filepath.Join(dir, "settings.json")); err == nil {
			continue
		}
		payload, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(payload) || len(payload) == 0 || !bytes.ContainsRune(payload, '{') || payload[0] != '{' && payload[0] != '[' {
			continue
		}
		name, _ := os.ReadFile(filepath.Join(dir, "topic")) // most have none
		topic := strings.TrimSpace(string(name))
		good := true
		for _, strict := range []bool{false, true} {
			d, err := p.New(decode.Settings{Strict: strict, Zone: "UTC"})
			if err != nil {
				return nil, "", false // wasm wants a file
			}
			rs, err := decode.DecodeOn(d, nil, topic, payload)
			good = good && err == nil && len(rs) > 0
		}
		if good {
			return payload, topic, true
		}
	}
	return nil, "", false
}
