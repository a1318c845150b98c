package keys_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// place is everything that a blob is bound to.
type place struct {
	key byte
	h   keys.Header
	ctx keys.Context
}

func (p place) String() string { return fmt.Sprintf("key %d, %v, %q", p.key, p.h, p.ctx) }

func (p place) secret() secretbytes.Bytes {
	return secretbytes.Own(bytes.Repeat([]byte{p.key}, keys.KeySize))
}

// places are few values of each part, so that many pairs differ in one part only.
var places = rapid.Custom(func(t *rapid.T) place {
	return place{
		key: rapid.ByteRange(1, 2).Draw(t, "key"),
		h: keys.Header{
			Kind:       rapid.SampledFrom([]keys.Kind{keys.KindKeyToken, keys.KindSecretVersion, keys.KindTombstone}).Draw(t, "kind"),
			KeyID:      [16]byte{15: rapid.ByteRange(0, 1).Draw(t, "key id")},
			MaterialID: [16]byte{rapid.ByteRange(0, 1).Draw(t, "material")},
		},
		ctx: rapid.MapOfN(rapid.SampledFrom([]string{"", "SecretARN", "SecretVersionId"}), rapid.SampledFrom([]string{"", "a", "b"}), 0, 2).Draw(t, "context"),
	}
})

func TestABlobOpensInItsOwnPlaceAndInNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(places, 2, 8).Draw(t, "places")
		for i, from := range all {
			blob, err := keys.Seal(from.secret(), from.h, from.ctx, plaintext(i))
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range all {
				same := from.String() == to.String()
				got, err := keys.Open(to.secret(), to.h, to.ctx, blob)
				if (err == nil) != same || same && !got.Equal(plaintext(i)) {
					t.Fatalf("from %s to %s: %v", from, to, err)
				}
			}
		}
	})
}

// The long blob has several thousand blocks, any of which may be damaged, or exchanged for another one of it.
func TestDamageAnywhereInTheLargestBlobIsRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	blob := mustSeal(t, testKey, testHeader, testContext, plaintext(keys.MaxPlaintext))
	for range 60 {
		damaged := bytes.Clone(blob)
		bit := r.IntN(len(blob) * 8)
		damaged[bit/8] ^= 1 << (bit % 8)
		refuse(t, fmt.Sprintf("bit %d", bit), testKey, testHeader, testContext, damaged)
	}
	body := blob[80 : len(blob)-16]
	for range 30 {
		exchanged := bytes.Clone(blob)
		a, b := 16*r.IntN(len(body)/16), 16*r.IntN(len(body)/16)
		if a == b {
			continue
		}
		copy(exchanged[80+a:80+a+16], body[b:b+16])
		copy(exchanged[80+b:80+b+16], body[a:a+16])
		refuse(t, fmt.Sprintf("blocks at %d and %d exchanged", a, b), testKey, testHeader, testContext, exchanged)
	}
}

// Two seals of the same share nothing but the header: whoever sees both does not learn that they are the same.
func TestTheSamePlaintextNeverSealsToTheSameBytes(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		blob := mustSeal(t, testKey, testHeader, testContext, plaintext(32))
		for _, part := range [][]byte{blob[36:68], blob[68:80], blob[80:112], blob[112:]} {
			if seen[string(part)] {
				t.Fatalf("%x comes a second time", part)
			}
			seen[string(part)] = true
		}
	}
}

// A new operation must be laid beside AWS's table before it is let through, so none may be missing from the test's.
func TestTheTableHasEveryOperationThatThePackageNames(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "state.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) == 0 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Operation" && kind.Name != "State" {
			return true
		} else if kind.Name == "Operation" {
			named++
			if _, ok := table[keys.Operation(spec.Names[0].Name)]; !ok {
				t.Errorf("%s is not in the table", spec.Names[0].Name)
			}
		} else if state := keys.State(spec.Names[0].Name); !slices.Contains(states, state) {
			t.Errorf("state %s is not in the table", state)
		}
		return true
	})
	if named != len(table) {
		t.Errorf("the package names %d operations and the table %d", named, len(table))
	}
}
