package secretbytes_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	jsonv2 "encoding/json/v2"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"log"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"text/template"

	"github.com/go-logr/logr"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// traces are what the canary looks like when it is printed: as text, hex, base64, and as numbers in several bases.
func traces() []string {
	b := []byte(plaintext)
	out := []string{"hunter2", "CANARY", hex.EncodeToString(b[:6]), base64.StdEncoding.EncodeToString(b)[:8]}
	for _, verb := range []string{"%d", "%x", "%X", "%#x", "%o", "%b", "%c", "%U", "%q"} {
		// three bytes in a row, whatever is put between them
		for _, between := range []string{" ", ", ", ","} {
			var parts []string
			for _, c := range b[:3] {
				parts = append(parts, fmt.Sprintf(verb, c))
			}
			out = append(out, strings.Join(parts, between))
		}
	}
	return out
}

func shows(out string) (string, bool) {
	for _, trace := range traces() {
		if strings.Contains(strings.ToLower(out), strings.ToLower(trace)) {
			return trace, true
		}
	}
	return "", false
}

type inner struct {
	Public  secretbytes.Bytes
	private secretbytes.Bytes
}

type outer struct {
	Name    string
	nested  inner
	pointer *inner
	any     any
	list    []secretbytes.Bytes
	array   [2]secretbytes.Bytes
	byName  map[string]secretbytes.Bytes
	byAny   map[any]any
	deep    **secretbytes.Bytes
	fn      func() secretbytes.Bytes
}

func holders() map[string]any {
	s := secretbytes.Copy([]byte(plaintext))
	in := inner{s, s}
	p := &s
	o := outer{
		"name", in, &in, s, []secretbytes.Bytes{s}, [2]secretbytes.Bytes{s, s}, map[string]secretbytes.Bytes{"k": s},
		map[any]any{"k": in, 1: &in}, &p, func() secretbytes.Bytes { return s },
	}
	return map[string]any{
		"itself": s, "a pointer": &s, "a pointer to a pointer": &p, "a struct": o, "a pointer to a struct": &o, "a slice of structs": []outer{o},
		"a slice of pointers": []*outer{&o}, "an interface in a slice": []any{s, &s, o}, "a map of structs": map[string]outer{"k": o},
		"an anonymous struct": struct{ secretbytes.Bytes }{s}, "an unexported anonymous one": struct{ b secretbytes.Bytes }{s},
	}
}

// fmt has ways of its own for unexported fields, for verbs that do not fit, for widths and for operands too many.
func TestNoVerbWithNoFlagShowsTheSecretHoweverItIsNested(t *testing.T) {
	verbs := "abcdefghijklmnoqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!" // without p and T, which print no operand
	formats := []string{"x", "%*d", "%[5]v"}                        // not constants, which vet refuses
	for name, value := range holders() {
		for _, verb := range verbs {
			for _, flags := range []string{"", "+", "-", "#", "0", " ", "+#", "# ", "20", "1.1", "-30.20", "[1]"} {
				format := "%" + flags + string(verb)
				if trace, found := shows(fmt.Sprintf(format, value)); found {
					t.Errorf("%s with %s shows %q", name, format, trace)
				}
			}
		}
		for what, out := range map[string]string{
			"Sprint": fmt.Sprint(value, value), "Sprintln": fmt.Sprintln(value), "a missing verb": fmt.Sprintf(formats[0], value),
			"a width that is none": fmt.Sprintf(formats[1], value, 1), "a bad index": fmt.Sprintf(formats[2], value),
		} {
			if trace, found := shows(out); found {
				t.Errorf("%s of %s shows %q", what, name, trace)
			}
		}
	}
}

func TestNoErrorShowsTheSecretThatItWasMadeWith(t *testing.T) {
	s := secretbytes.Copy([]byte(plaintext))
	base := fmt.Errorf("opening %v with %s: %w", s, &s, errors.New("failed"))
	for _, err := range []error{base, errors.Join(base, base), fmt.Errorf("outer %+v: %w", inner{s, s}, base)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
			if trace, found := shows(fmt.Sprintf(verb, err)); found {
				t.Errorf("%s of %T shows %q", verb, err, trace)
			}
		}
	}
	defer func() {
		if trace, found := shows(fmt.Sprint(recover())); found {
			t.Errorf("a panic shows %q", trace)
		}
	}()
	panic(s)
}

func TestNoLoggerShowsTheSecretHoweverItIsNested(t *testing.T) {
	var out bytes.Buffer
	level := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	for name, value := range holders() {
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, level), slog.NewJSONHandler(&out, level)} {
			logger := slog.New(handler).With("with", value).WithGroup("group")
			logger.LogAttrs(context.Background(), slog.LevelInfo, "m", slog.Any("a", value), slog.Group("g", slog.Any("b", value)))
			// The manager's controllers log so: logr over slog.
			logs := logr.FromSlogHandler(handler).WithValues("value", value)
			logs.Info("m", "v", value)
			logs.Error(fmt.Errorf("%v", value), "m", "v", value)
		}
		log.New(&out, "", 0).Printf("%v %+v", value, value)
		if trace, found := shows(out.String()); found || out.Len() == 0 {
			t.Errorf("%s shows %q in a log", name, trace)
		}
		out.Reset()
	}
}

func TestNoTemplateShowsTheSecret(t *testing.T) {
	const source = `{{.}} {{printf "%s %x" . .}} {{print .}} {{html .}} {{js .}} {{urlquery .}} {{.Reveal | len}}`
	s := secretbytes.Copy([]byte(plaintext))
	var out bytes.Buffer
	if err := template.Must(template.New("").Parse(source)).Execute(&out, s); err != nil {
		t.Fatal(err)
	}
	if err := htmltemplate.Must(htmltemplate.New("").Parse(`{{.}} <a title="{{.}}">`)).Execute(&out, s); err != nil {
		t.Fatal(err)
	}
	if trace, found := shows(out.String()); found || !strings.Contains(out.String(), "[redacted]") {
		t.Errorf("%q in %s", trace, out.String())
	}
}

func TestNoEncoderWritesTheSecretAndNoneForgetsIt(t *testing.T) {
	type document struct {
		Secret secretbytes.Bytes `json:"secret"`
	}
	for name, value := range map[string]any{
		"itself": secretbytes.Copy([]byte(plaintext)), "a member": document{secretbytes.Copy([]byte(plaintext))},
		"a pointer": &document{secretbytes.Copy([]byte(plaintext))}, "a list": []any{secretbytes.Copy([]byte(plaintext))},
		"a key": map[string]any{"k": secretbytes.Copy([]byte(plaintext))}, "the empty secret": document{},
	} {
		for encoder, marshal := range map[string]func(any) ([]byte, error){
			"json": json.Marshal, "json/v2": func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
		} {
			out, err := marshal(value)
			if trace, found := shows(string(out)); err == nil || found {
				t.Errorf("%s of %s: %s shows %q, %v", encoder, name, out, trace, err)
			}
		}
	}
}

func TestOwnSharesTheCallersBytesAndCopyDoesNot(t *testing.T) {
	for name, c := range map[string]struct {
		make   func([]byte) secretbytes.Bytes
		shared bool
	}{"Own": {secretbytes.Own, true}, "Copy": {secretbytes.Copy, false}} {
		source := []byte(plaintext)
		s := c.make(source)
		if (&s.Reveal()[0] == &source[0]) != c.shared {
			t.Errorf("%s shares the bytes: %t", name, !c.shared)
		}
		same := s // a Bytes is a handle, so all of them are wiped
		same.Wipe()
		if !bytes.Equal(s.Reveal(), make([]byte, len(plaintext))) || bytes.Equal(source, s.Reveal()) != c.shared {
			t.Errorf("%s: after Wipe it holds %q and its source %q", name, s.Reveal(), source)
		}
		s.Wipe()
	}
	if extra := secretbytes.Own(make([]byte, 2, 64)); extra.Len() != 2 {
		t.Errorf("%d bytes", extra.Len())
	}
}

func TestTheZeroValueIsTheEmptySecret(t *testing.T) {
	var zero secretbytes.Bytes
	zero.Wipe()
	for name, empty := range map[string]secretbytes.Bytes{"zero": zero, "nil": secretbytes.Own(nil), "empty": secretbytes.Copy([]byte{})} {
		if empty.Len() != 0 || len(empty.Reveal()) != 0 || !empty.Equal(zero) || !zero.Equal(empty) || fmt.Sprint(empty) != "[redacted]" {
			t.Errorf("%s: %d bytes, %s", name, empty.Len(), empty)
		}
	}
}

func TestEqualIsAboutAllBytesAndTheLength(t *testing.T) {
	base := secretbytes.Copy([]byte(plaintext))
	for i := range len(plaintext) * 8 {
		other := []byte(plaintext)
		other[i/8] ^= 1 << (i % 8)
		if base.Equal(secretbytes.Own(other)) {
			t.Errorf("bit %d makes no difference", i)
		}
	}
	for n := range len(plaintext) {
		if prefix := secretbytes.Copy([]byte(plaintext)[:n]); base.Equal(prefix) || prefix.Equal(base) {
			t.Errorf("its first %d bytes are equal to it", n)
		}
	}
	if !base.Equal(base) || !base.Equal(secretbytes.Copy([]byte(plaintext))) {
		t.Error("it is not equal to itself")
	}
}

func TestReadersOfOneSecretDoNotDisturbEachOther(t *testing.T) {
	s := secretbytes.Copy([]byte(plaintext))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if string(s.Reveal()) != plaintext || !s.Equal(s) || fmt.Sprint(s) != "[redacted]" {
					t.Error("it changed")
				}
			}
		})
	}
	wg.Wait()
}
