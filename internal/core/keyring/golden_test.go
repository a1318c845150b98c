package keyring_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// golden is a whole hierarchy, made by another implementation in another language. Byte strings are base64.
type golden struct {
	Root    []byte `json:"root"`
	Records []struct {
		Epoch   int64     `json:"epoch"`
		Wrapped []byte    `json:"wrapped"`
		Created time.Time `json:"created"`
	} `json:"records"`
	Context    keys.Context `json:"context"`
	KeyID      []byte       `json:"keyId"`
	MaterialID []byte       `json:"materialId"`
	Material   []byte       `json:"material"`
	Tokens     [][]byte     `json:"tokens"`
	Plaintext  []byte       `json:"plaintext"`
	Tombstones [][]byte     `json:"tombstones"`
	Digests    []struct {
		Purpose string   `json:"purpose"`
		Parts   [][]byte `json:"parts"`
		Digest  string   `json:"digest"`
	} `json:"digests"`
}

// The file is frozen: what it holds opens for ever, or stored keys and digests are lost. A new hierarchy gets a new file.
const (
	goldenFile = "testdata/v1-python.json"
	goldenSum  = "f75e152af9dbf4471a3c8391cea3c6288f896444236ac256a071995fb5185e2d"
)

func readGolden(t testing.TB) (golden, *keyring.Keyring) {
	t.Helper()
	raw, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != goldenSum {
		t.Fatalf("%s was changed; restore it", goldenFile)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	var records []keyring.DomainKeyRecord
	for _, r := range g.Records {
		records = append(records, keyring.DomainKeyRecord{Epoch: r.Epoch, Wrapped: r.Wrapped, Created: r.Created})
	}
	k, err := keyring.Unseal(context.Background(), keyring.NewSoftwareRoot("any name", secretbytes.Own(g.Root)), records)
	if err != nil {
		t.Fatalf("the golden domain keys: %v", err)
	}
	return g, k
}

func TestAGoldenHierarchyOpensForEver(t *testing.T) {
	g, k := readGolden(t)
	h := keys.Header{KeyID: [16]byte(g.KeyID), MaterialID: [16]byte(g.MaterialID)}
	if len(g.Tokens) != 2 || len(g.Tombstones) != 2 || len(g.Digests) != 2 || k.CurrentEpoch() != 2 {
		t.Fatalf("%d tokens, %d tombstones, %d digests, epoch %d", len(g.Tokens), len(g.Tombstones), len(g.Digests), k.CurrentEpoch())
	}
	for i := range 2 {
		if got, err := k.UnwrapToken(h, g.Context, g.Tokens[i]); err != nil || !bytes.Equal(got.Reveal(), g.Material) {
			t.Errorf("token %d: %v", i, err)
		}
		if got, err := k.Open(keys.KindTombstone, g.Context, g.Tombstones[i]); err != nil || !bytes.Equal(got.Reveal(), g.Plaintext) {
			t.Errorf("tombstone %d: %v", i, err)
		}
		d := g.Digests[i]
		if got := k.Digest(d.Purpose, d.Parts...); got != d.Digest {
			t.Errorf("digest %d: %s, want %s", i, got, d.Digest)
		}
	}
}

// The FIPS mode is chosen when a process starts, so the tests run again in a process of their own.
func TestTheKeyringWorksWhereOnlyFIPSCryptographyIsAllowed(t *testing.T) {
	const again = "STRONGROOM_TEST_FIPS_ONLY"
	if os.Getenv(again) != "" {
		if !fips140.Enforced() {
			t.Fatal("fips140=only is not in force")
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run", "^Test(TheKeyring|AGolden|AToken|ARotated|Records|ADigest|Unseal|ASoftware)")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", again+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestTheKeyringWorks")) || !bytes.Contains(out, []byte("--- PASS: TestAGolden")) {
		t.Errorf("under GODEBUG=fips140=only: %v\n%s", err, out)
	}
}
