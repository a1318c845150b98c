package secretbytes_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const plaintext = "hunter2-CANARY"

func TestNoVerbPrintsTheSecret(t *testing.T) {
	s := secretbytes.Copy([]byte(plaintext))
	holder := struct {
		Inner secretbytes.Bytes
		Ptr   *secretbytes.Bytes
		inner secretbytes.Bytes // fmt calls no methods on an unexported field
	}{s, &s, s}
	hex := fmt.Sprintf("%x", plaintext)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%08b", "%t", "%T"} {
		for _, value := range []any{s, &s, holder, &holder, []secretbytes.Bytes{s}, map[string]secretbytes.Bytes{"k": s}} {
			out := fmt.Sprintf(verb, value)
			if strings.Contains(out, plaintext) || strings.Contains(strings.ToLower(out), hex) || strings.Contains(out, "104 117") {
				t.Errorf("%s of %T shows the secret: %s", verb, value, out)
			}
		}
	}
}

func TestNoLogHandlerShowsTheSecret(t *testing.T) {
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("m", "secret", secretbytes.Copy([]byte(plaintext)))
	}
	if !strings.Contains(out.String(), "[redacted]") || strings.Contains(out.String(), plaintext) {
		t.Errorf("logged: %s", out.String())
	}
}

func TestNoEncodingMarshalsTheSecret(t *testing.T) {
	s := secretbytes.Copy([]byte(plaintext))
	if _, err := json.Marshal(map[string]any{"a": s}); !errors.Is(err, secretbytes.ErrNotMarshalled) {
		t.Errorf("json: %v", err)
	}
	if err := gob.NewEncoder(&bytes.Buffer{}).Encode(s); !errors.Is(err, secretbytes.ErrNotMarshalled) {
		t.Errorf("gob: %v", err)
	}
	if _, err := xml.Marshal(s); !errors.Is(err, secretbytes.ErrNotMarshalled) {
		t.Errorf("xml: %v", err)
	}
	if _, err := s.MarshalBinary(); !errors.Is(err, secretbytes.ErrNotMarshalled) {
		t.Errorf("binary: %v", err)
	}
}

func TestCopyIsIndependentOfItsSource(t *testing.T) {
	source := []byte(plaintext)
	s := secretbytes.Copy(source)
	clear(source)
	if string(s.Reveal()) != plaintext || s.Len() != len(plaintext) {
		t.Error("the copy changed with its source")
	}
}

func TestWipeErasesTheBytesInPlace(t *testing.T) {
	s := secretbytes.Own([]byte(plaintext))
	view := s.Reveal()
	s.Wipe()
	if !bytes.Equal(view, make([]byte, len(plaintext))) {
		t.Errorf("left: %q", view)
	}
}

func TestEqualComparesContent(t *testing.T) {
	a, b, c := secretbytes.Copy([]byte("a")), secretbytes.Copy([]byte("a")), secretbytes.Copy([]byte("b"))
	if !a.Equal(b) || a.Equal(c) || a.Equal(secretbytes.Bytes{}) || !(secretbytes.Bytes{}).Equal(secretbytes.Bytes{}) {
		t.Error("Equal is wrong")
	}
}

func TestRandomFailsWhenItsSourceRunsDry(t *testing.T) {
	if _, err := secretbytes.Random(strings.NewReader("short"), 32); err == nil {
		t.Error("a short source made a key")
	}
	a, err := secretbytes.Random(nil, 32)
	if err != nil || a.Len() != 32 || a.Equal(secretbytes.Own(make([]byte, 32))) {
		t.Errorf("Random: %v, %d bytes", err, a.Len())
	}
}

func TestDoRunsItsFunction(t *testing.T) {
	ran := false
	secretbytes.Do(func() { ran = true })
	if !ran {
		t.Error("Do did not run its function")
	}
}
