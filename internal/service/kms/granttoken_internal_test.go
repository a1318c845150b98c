package kms

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// tokensOf is a service that makes and opens tokens under a root of one letter.
func tokensOf(tb testing.TB, letter string) *Service {
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
	return &Service{Keyring: holder, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}
}

var tokensGrant = &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "g", UID: "u"}}

const tokensKey = "arn:aws:kms:us-east-1:111122223333:key/k"

func TestAGrantTokenSaysWhichGrantItIsOfAndIsOfOneInstallation(t *testing.T) {
	s := tokensOf(t, "r")
	token, err := s.GrantToken(tokensGrant, tokensKey)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.grantTokenClaims(token)
	if want := (grantTokenClaims{"shop", "g", "u", tokensKey, 1_800_000_000}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := tokensOf(t, "s").grantTokenClaims(token); !errors.Is(err, ErrGrantToken) {
		t.Errorf("another installation's: %v", err)
	}
	ring, err := s.Keyring.Get()
	if err != nil {
		t.Fatal(err)
	}
	// Sealed here, and no claims: whoever else seals under this kind makes no grant of it.
	sealed, err := ring.Seal(keys.KindGrantToken, grantTokenContext(), secretbytes.Copy([]byte("{")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.grantTokenClaims(encodeGrantToken(sealed)); !errors.Is(err, ErrGrantToken) {
		t.Errorf("no claims: %v", err)
	}
}

func FuzzGrantToken(f *testing.F) {
	s := tokensOf(f, "r")
	token, err := s.GrantToken(tokensGrant, tokensKey)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{token, token + "=", token[:len(token)-1], "", "AQEI", strings.Repeat("A", MaximumGrantToken+1)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		claims, err := s.grantTokenClaims(text)
		if (err == nil) != (text == token) || err != nil && !errors.Is(err, ErrGrantToken) {
			t.Fatalf("%q: %+v, %v", text, claims, err)
		}
	})
}
