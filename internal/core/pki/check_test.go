package pki_test

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/pki"
)

func TestAChainIsCheckedAndTheReasonNamesTheCertificate(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	middle := below(t, root, pki.ECPrime256v1)
	leaf := leafOf(t, middle, keyOf(t, pki.ECPrime256v1), "a.example.com")
	chain := append([]*x509.Certificate{leaf}, middle.Chain()...)
	stranger := newRoot(t, pki.ECSecp384r1).Certificate()
	weak, err := pki.ParseCertificates(must(os.ReadFile(filepath.Join("testdata", "sha1.pem"))))
	if err != nil {
		t.Fatal(err)
	}
	small := must(pki.ParseCertificates(must(os.ReadFile(filepath.Join("testdata", "rsa1024.crt")))))
	for name, tt := range map[string]struct {
		chain []*x509.Certificate
		at    time.Time
		want  error
		says  string
	}{
		"whole":                 {chain, now, nil, ""},
		"without the root":      {chain[:2], now, nil, ""},
		"a root alone":          {chain[2:], now, nil, ""},
		"a leaf alone":          {chain[:1], now, nil, ""},
		"nothing":               {nil, now, pki.ErrChain, "0 certificates"},
		"too many":              {slices.Repeat(chain, 4), now, pki.ErrChain, "12 certificates"},
		"the wrong way round":   {[]*x509.Certificate{leaf, root.Certificate(), middle.Certificate()}, now, pki.ErrChain, "certificate 1"},
		"a stranger":            {[]*x509.Certificate{leaf, stranger}, now, pki.ErrChain, "was not issued by the next"},
		"a leaf as issuer":      {[]*x509.Certificate{leaf, leaf}, now, pki.ErrChain, "certificate 1"},
		"an expired leaf":       {chain, now.Add(91 * day), pki.ErrExpired, "certificate 1, of CN=leaf"},
		"an expired middle":     {chain[1:], now.Add(2 * year), pki.ErrExpired, "certificate 1, of CN=subordinate"},
		"before its time":       {chain, now.Add(-day), pki.ErrNotYetValid, "certificate 1"},
		"signed with SHA-1":     {weak, weak[0].NotBefore.Add(time.Hour), pki.ErrWeak, "SHA1"},
		"with RSA of 1024 bits": {small, small[0].NotBefore.Add(time.Hour), pki.ErrWeak, "1024"},
	} {
		err := pki.CheckChain(tt.chain, tt.at)
		if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := pki.CheckKey(keyOf(t, pki.ECPrime256v1), leaf); err != nil {
		t.Error(err)
	}
	if err := pki.CheckKey(keyOf(t, pki.ECSecp384r1), leaf); !errors.Is(err, pki.ErrMismatch) {
		t.Error(err)
	}
}

func TestAPathThatIsTooLongIsRefused(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.PathLength = pathLength(0) })
	free := newRoot(t, pki.ECPrime256v1) // the same name and key, and no limit
	middle := below(t, free, pki.ECPrime256v1)
	leaf := leafOf(t, middle, keyOf(t, pki.ECPrime256v1), "a.example.com")
	err := pki.CheckChain([]*x509.Certificate{leaf, middle.Certificate(), root.Certificate()}, now)
	if !errors.Is(err, pki.ErrNotAuthority) {
		t.Error(err)
	}
}

func TestTheRenewalTimeIsAFunctionOfItsInputs(t *testing.T) {
	begin := now
	for name, tt := range map[string]struct {
		lifetime, before, want time.Duration
	}{
		"two thirds of 90 days":                      {90 * day, 0, 60 * day},
		"two thirds of an hour":                      {time.Hour, 0, 40 * time.Minute},
		"30 days before the end of 90":               {90 * day, 30 * day, 60 * day},
		"a day before the end of 90":                 {90 * day, day, 89 * day},
		"as early as may be":                         {100 * day, 90 * day, 10 * day},
		"earlier than may be: as if it said nothing": {100 * day, 91 * day, 100 * day * 2 / 3},
		"before its begin: as if it said nothing":    {30 * day, 40 * day, 20 * day},
	} {
		end := begin.Add(tt.lifetime)
		if got := pki.RenewalTime(begin, end, tt.before, ""); !got.Equal(begin.Add(tt.want)) {
			t.Errorf("%s: after %s", name, got.Sub(begin))
		}
		spread := map[time.Time]bool{}
		for i := range 50 {
			seed := strings.Repeat("x", i+1)
			at := pki.RenewalTime(begin, end, tt.before, seed)
			early := begin.Add(tt.want).Sub(at)
			if early < 0 || early > min(tt.lifetime/50, 12*time.Hour)+time.Second || !at.After(begin) {
				t.Errorf("%s with a seed: %s early", name, early)
			}
			if !at.Equal(pki.RenewalTime(begin, end, tt.before, seed)) {
				t.Errorf("%s is another time at the second look", name)
			}
			spread[at] = true
		}
		if len(spread) < 25 {
			t.Errorf("%s: 50 seeds have %d times", name, len(spread))
		}
	}
	if got := pki.RenewalTime(begin, begin, 0, "x"); !got.Equal(begin) {
		t.Errorf("of no lifetime: %s", got)
	}
}

func TestTheBeginIsAnHourEarlierOrATenth(t *testing.T) {
	for validity, want := range map[time.Duration]time.Duration{90 * day: time.Hour, 10 * time.Hour: time.Hour, time.Hour: 6 * time.Minute} {
		if got := now.Sub(pki.Backdate(now, validity)); got != want {
			t.Errorf("%s: %s", validity, got)
		}
	}
}
