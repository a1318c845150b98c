package hsm_test

import (
	"crypto"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"slices"
	"testing"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// The names are AWS KMS's: https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html#KMS-CreateKey-request-KeySpec
func TestTheKeySpecsOfAnHSMAreThoseThatAWSAllowsInACustomKeyStoreAndMore(t *testing.T) {
	var names []string
	for _, s := range hsm.KeySpecs() {
		names = append(names, s.Name)
		got, err := hsm.ParseKeySpec(s.Name)
		if err != nil || got != s {
			t.Errorf("%s is read back as %+v: %v", s.Name, got, err)
		}
	}
	want := []string{"SYMMETRIC_DEFAULT", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "RSA_2048", "RSA_3072", "RSA_4096"}
	if !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
	for _, name := range []string{"", "ecc_nist_p256", "ECC_NIST_P256 ", "ECC_SECG_P256K1", "HMAC_256", "RSA_1024", "SM2"} {
		if _, err := hsm.ParseKeySpec(name); !errors.Is(err, hsm.ErrUnsupported) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestWhoeverChangesTheListOfKeySpecsChangesACopy(t *testing.T) {
	hsm.KeySpecs()[0].Name = "CHANGED"
	if hsm.KeySpecs()[0].Name != "SYMMETRIC_DEFAULT" {
		t.Error("the list itself was changed")
	}
}

// https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
func TestAKeySignsWithTheAlgorithmsOfItsSpecAlone(t *testing.T) {
	rsa := []string{
		"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
		"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512",
	}
	want := map[string][]string{
		"SYMMETRIC_DEFAULT": nil, "RSA_2048": rsa, "RSA_3072": rsa, "RSA_4096": rsa,
		"ECC_NIST_P256": {"ECDSA_SHA_256"}, "ECC_NIST_P384": {"ECDSA_SHA_384"}, "ECC_NIST_P521": {"ECDSA_SHA_512"},
	}
	all := append([]string{"", "ecdsa_sha_256", "ECDSA_SHA_1", "SM2DSA"}, rsa...)
	all = append(all, "ECDSA_SHA_256", "ECDSA_SHA_384", "ECDSA_SHA_512")
	for _, spec := range hsm.KeySpecs() {
		for _, name := range all {
			a, err := hsm.ParseSigningAlgorithm(name, spec)
			allowed := slices.Contains(want[spec.Name], name)
			if allowed != (err == nil) || err != nil && !errors.Is(err, hsm.ErrUnsupported) {
				t.Errorf("%s with %q: %v", spec.Name, name, err)
			}
			if err == nil && (a.Name != name || !a.Hash.Available()) {
				t.Errorf("%s with %q: %+v", spec.Name, name, a)
			}
		}
		if got := hsm.SigningAlgorithms(spec); len(got) != len(want[spec.Name]) {
			t.Errorf("%s: %v", spec.Name, got)
		}
	}
}

func TestAnAlgorithmsNameSaysItsHashAndItsPadding(t *testing.T) {
	hashes := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}
	for _, spec := range hsm.KeySpecs() {
		for _, a := range hsm.SigningAlgorithms(spec) {
			if a.Hash != hashes[a.Name[len(a.Name)-3:]] {
				t.Errorf("%s hashes with %v", a.Name, a.Hash)
			}
			if a.PSS != (a.Name[:min(len(a.Name), 10)] == "RSASSA_PSS") {
				t.Errorf("%s: PSS=%t", a.Name, a.PSS)
			}
		}
	}
}

// A spec is one byte of every token in people's clusters: no number may ever be another's.
func TestTheNumbersOfKeySpecsInTokensAreFrozen(t *testing.T) {
	for i, spec := range hsm.KeySpecs() {
		s := sealed(hsm.KindToken, 1)
		s.Spec = spec
		if got := s.Header()[3]; got != byte(i+1) {
			t.Errorf("%s has the number %d", spec.Name, got)
		}
		back, err := hsm.ParseSealed(hsm.KindToken, s.Bytes())
		if err != nil || back.Spec != spec {
			t.Errorf("%s is read back as %s: %v", spec.Name, back.Spec.Name, err)
		}
	}
}
