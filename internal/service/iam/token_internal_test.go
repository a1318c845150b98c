package iam

import (
	"errors"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// unsealedBy is a keyring under a root of one letter.
func unsealedBy(tb testing.TB, letter string) *keyring.Holder {
	tb.Helper()
	root := keyring.NewSoftwareRoot("test", secretbytes.Copy([]byte(strings.Repeat(letter, 32))))
	record, err := keyring.NewDomainKey(tb.Context(), root, 1, nil, time.Unix(0, 0))
	if err != nil {
		tb.Fatal(err)
	}
	ring, err := keyring.Unseal(tb.Context(), root, []keyring.DomainKeyRecord{record})
	if err != nil {
		tb.Fatal(err)
	}
	holder := &keyring.Holder{}
	holder.Set(ring)
	return holder
}

func TestATokenHoldsItsSessionAndIsOfOneInstallation(t *testing.T) {
	s := &Service{Keyring: unsealedBy(t, "r")}
	want := claims{
		Kind: roleKind, Namespace: "shop", Object: "app", UID: "u", Name: "one", Issued: 1, Expires: 2, Policy: "{}",
		PolicyARNs: []string{"arn"}, Tags: map[string]string{"K": "v"}, Transitive: []string{"K"}, Source: "alice",
	}
	issued, err := s.seal("123456789012", &want)
	if err != nil {
		t.Fatal(err)
	}
	got, secret, err := s.open(issued.AccessKeyID, issued.Token)
	if err != nil || got.Name != want.Name || got.UID != want.UID || got.Tags["K"] != "v" || got.Kind != roleKind || !secret.Equal(issued.Secret) {
		t.Errorf("%+v, %v", got, err)
	}
	if strings.Contains(issued.Token, string(issued.Secret.Reveal())) {
		t.Error("the secret is in the token")
	}
	other := &Service{Keyring: unsealedBy(t, "s")}
	if _, _, err := other.open(issued.AccessKeyID, issued.Token); !errors.Is(err, ErrUnknownAccessKey) {
		t.Errorf("another installation: %v", err)
	}
	if _, _, err := s.open("ASIAAAAAAAAAAAAAAAAA", issued.Token); !errors.Is(err, ErrUnknownAccessKey) {
		t.Errorf("another access key: %v", err)
	}
	message, err := s.EncodeAuthorizationMessage("123456789012", "no")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.open(issued.AccessKeyID, message); !errors.Is(err, ErrUnknownAccessKey) {
		t.Errorf("a sealed message is no token: %v", err)
	}
}

func TestATokenOfAKindThatHasNoSessionsIsNobodys(t *testing.T) {
	s := &Service{Keyring: unsealedBy(t, "r"), Now: func() time.Time { return time.Unix(0, 0) }}
	for _, k := range []kind{policyKind, envelopeKind, groupKind, 99} {
		issued, err := s.seal("123456789012", &claims{Kind: k, Expires: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.session(t.Context(), issued.AccessKeyID, issued.Token); !errors.Is(err, ErrUnknownAccessKey) {
			t.Errorf("kind %d: %v", k, err)
		}
	}
}

func TestTheKindsInTokensStayAsTheyAre(t *testing.T) {
	if userKind != 0 || roleKind != 1 || groupKind != 4 {
		t.Error("sessions that were issued before would be another's")
	}
}

func TestAnAuthorizationMessageIsReadByItsAccountAlone(t *testing.T) {
	s := &Service{Keyring: unsealedBy(t, "r")}
	const account = "123456789012"
	encoded, err := s.EncodeAuthorizationMessage(account, `{"allowed":false}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.DecodeAuthorizationMessage(account, encoded); err != nil || got != `{"allowed":false}` {
		t.Errorf("%q, %v", got, err)
	}
	flipped := encoded[:20] + map[bool]string{true: "B", false: "A"}[encoded[20] == 'A'] + encoded[21:]
	for name, c := range map[string][2]string{
		"another account": {"210987654321", encoded}, "changed": {account, flipped}, "cut": {account, encoded[:len(encoded)-4]}, "empty": {account, ""},
		"with a line break": {account, encoded[:8] + "\n" + encoded[8:]}, "too long": {account, strings.Repeat("A", MaximumAuthorizationMessage+4)},
	} {
		if _, err := s.DecodeAuthorizationMessage(c[0], c[1]); !errors.Is(err, ErrAuthorizationMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.EncodeAuthorizationMessage(account, strings.Repeat("x", MaximumAuthorizationMessage)); !errors.Is(err, ErrAuthorizationMessage) {
		t.Errorf("too long a message: %v", err)
	}
	s.Keyring.SetSealed(errors.New("gone"))
	if _, err := s.EncodeAuthorizationMessage(account, "x"); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("%v", err)
	}
	if _, err := s.DecodeAuthorizationMessage(account, encoded); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("%v", err)
	}
}

func FuzzOpenToken(f *testing.F) {
	s := &Service{Keyring: unsealedBy(f, "r")}
	issued, err := s.seal("123456789012", &claims{Kind: roleKind, Namespace: "shop"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(issued.Token)
	f.Add("")
	f.Add("AQEI")
	f.Fuzz(func(t *testing.T, token string) {
		c, _, err := s.open(issued.AccessKeyID, token)
		if (err == nil) != (token == issued.Token) || err != nil && (c != nil || !errors.Is(err, ErrUnknownAccessKey)) {
			t.Fatalf("%q: %+v, %v", token, c, err)
		}
	})
}
