package iam

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json/v2"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const jwtClaims = `{"iss":"us","aud":["sts.amazonaws.com"],"exp":5000,"sub":"system:serviceaccount:shop:app","n":`

var serial int

// signedBy is a new token that a key signed under a name of one.
func signedBy(t *testing.T, key any, algorithm jose.SignatureAlgorithm, id string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	serial++
	object, err := signer.Sign([]byte(jwtClaims + strconv.Itoa(serial) + "}"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestATokenThatTheAPIServerDidNotSignIsNotAskedFor(t *testing.T) {
	ours, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: old.Public(), KeyID: "old"}, {Key: ours.Public(), KeyID: "ours"}}}
	now := time.Unix(1000, 0)
	clock := func() time.Time { return now }
	api, asked, away := &reviewer{accepts: true}, 0, error(nil)
	s := &Service{Tokens: api, Now: clock, Cache: NewCache(clock), SigningKeys: func(context.Context) ([]byte, error) {
		asked++
		text, err := json.Marshal(set)
		return text, errors.Join(err, away)
	}}
	ask := func(name, token string, want error, reviews int) {
		t.Helper()
		before := api.asked
		if _, err := s.ReviewToken(t.Context(), token); !errors.Is(err, want) || (err != nil) != (want != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if got := api.asked - before; got != reviews {
			t.Errorf("%s: asked %d times, not %d", name, got, reviews)
		}
	}
	away = errors.New("the keys cannot be read")
	ask("while the keys cannot be read", signedBy(t, theirs, jose.ES256, "ours"), nil, 1)
	away, now = nil, now.Add(keysAgain)
	ask("signed by one of the keys", signedBy(t, ours, jose.ES256, "ours"), nil, 1)
	ask("signed by an older key, of RSA", signedBy(t, old, jose.RS256, "old"), nil, 1)
	ask("without the name of a key", signedBy(t, ours, jose.ES256, ""), nil, 1)
	for range 20 { // this is what had the API server asked each time
		ask("under the name of a key that did not sign it", signedBy(t, theirs, jose.ES256, "ours"), ErrTokenRejected, 0)
	}
	token := signedBy(t, ours, jose.ES256, "ours")
	ask("whose signature is cut", token[:len(token)-8], ErrTokenRejected, 0)
	ask("of another algorithm", "eyJhbGciOiJub25lIn0"+token[strings.IndexByte(token, '.'):], ErrTokenRejected, 0)
	if asked != 2 {
		t.Errorf("the keys were asked for %d times", asked)
	}
	for i := range 20 { // a key that is not known may be new, and its name is free
		reviews, want := 1, error(nil)
		if i >= strangersAtOnce {
			reviews, want = 0, errStranger
		}
		ask("under a name of no key "+strconv.Itoa(i), signedBy(t, theirs, jose.ES256, "none"), want, reviews)
	}
	if asked != 2 {
		t.Errorf("the keys were asked for %d times within %s", asked, keysAgain)
	}
	now = now.Add(keysAgain)
	set.Keys = append(set.Keys, jose.JSONWebKey{Key: theirs.Public(), KeyID: "none"}) // the API server has a new key
	for range 2 * strangersAtOnce {
		ask("by a new key", signedBy(t, theirs, jose.ES256, "none"), nil, 1)
	}
	if asked != 3 {
		t.Errorf("the keys were asked for %d times", asked)
	}
	api.accepts = false // no signature lets a token pass
	ask("that the API server takes no longer", signedBy(t, ours, jose.ES256, "ours"), ErrTokenRejected, 1)
}

// Anybody can send a token under a made-up key and hang up. Those who come after must not go without the keys for it.
func TestACallerWhoHangsUpDoesNotKeepTheKeysFromOthers(t *testing.T) {
	ours, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: ours.Public(), KeyID: "ours"}}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context) ([]byte, error) { return text, ctx.Err() }
	gone, hangUp := context.WithCancel(context.Background())
	hangUp()
	var s signers
	now := time.Unix(1000, 0)
	if found := s.named(gone, "made up", now, ask); len(found) != 0 {
		t.Errorf("%d keys of a name that there is none of", len(found))
	}
	if found := s.named(context.Background(), "ours", now.Add(time.Millisecond), ask); len(found) != 1 {
		t.Errorf("%d keys", len(found))
	}
}
