package ssm

import (
	"encoding/base64"
	"testing"

	"k8s.io/utils/ptr"
)

// Whatever a client sends as the token of a list, it is refused, or it is one that the list could have made of the same position.
func FuzzATokenIsRefusedOrTellsAPositionOfItsList(f *testing.F) {
	const list = "path/prod"
	of := func() string { return list }
	good := listing{of: of, from: position{asOf: "1234"}}
	for _, seed := range []string{"", "!!!", *good.token("prod/a"), *good.token(""), base64.RawURLEncoding.EncodeToString([]byte(list + "\x00prod/a"))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		at, err := positionOf(&token, of)
		if err != nil {
			if at.after != "" {
				t.Fatalf("a token that is refused has the position %+v", at)
			}
			return
		}
		want, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			t.Fatal(err)
		}
		again, err := base64.RawURLEncoding.DecodeString(*(&listing{of: of, from: at}).token(at.after))
		if err != nil || string(again) != string(want) {
			t.Fatalf("%q is read as %+v", want, at)
		}
	})
}

func TestATokenWithoutAnOrderIsRefused(t *testing.T) {
	parameters := func() string { return "parameters" }
	for _, text := range []string{"parameters\x00a", "parameters\x00\x00a", "parameters\x000\x00a", "parameters\x00x\x00a", "parameters\x00"} {
		if at, err := positionOf(ptr.To(base64.RawURLEncoding.EncodeToString([]byte(text))), parameters); err == nil {
			t.Errorf("%q is the position %+v", text, at)
		}
	}
	at, err := positionOf(ptr.To(base64.RawURLEncoding.EncodeToString([]byte("parameters\x0012\x00a"))), parameters)
	if err != nil || at != (position{after: "a", asOf: "12"}) {
		t.Errorf("%+v, %v", at, err)
	}
	if at, err := positionOf(nil, parameters); err != nil || at != (position{}) {
		t.Errorf("no token is the position %+v, %v", at, err)
	}
}
