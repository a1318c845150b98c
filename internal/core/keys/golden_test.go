package keys_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// golden is a blob with everything that opens it. Byte strings are base64 in the file.
type golden struct {
	Comment    string       `json:"comment"`
	Key        []byte       `json:"key"`
	Kind       keys.Kind    `json:"kind"`
	KeyID      string       `json:"keyId"`
	MaterialID string       `json:"materialId"`
	Context    keys.Context `json:"context"`
	Plaintext  []byte       `json:"plaintext"`
	Blob       []byte       `json:"blob"`
}

func (g golden) header(t testing.TB) keys.Header {
	t.Helper()
	keyID, err := keys.ParseKeyID(g.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	materialID, err := keys.MaterialIDPrefix(g.MaterialID)
	if err != nil {
		t.Fatal(err)
	}
	return keys.Header{Kind: g.Kind, KeyID: keyID, MaterialID: materialID}
}

// frozen is the SHA-256 of every file of blobs that was ever released. Add files; never change or remove one: the blobs
// that users hold would stop opening with it.
var frozen = map[string]string{
	"v1-ciphertext-4096.json":    "3cf9445fe6dc098a2cae1113014f130dbc56336e1c150439317d6832086c1186",
	"v1-ciphertext-context.json": "44f64749c3a1023f8a3ccb5fe8bf40e789f5f334e948357f08cbba05c526a9b8",
	"v1-ciphertext-empty.json":   "a811bd3ab9f22cef76e6eb0ed82ba85d3f007535c5eccfa19f851c8c57abcb50",
	"v1-key-token-32.json":       "01c7cfdf3e01ea7dae40439417107fe1b18e902868a2494a1c666fbec8d84841",
	"v1-python.json":             "743bbf58449b3b57f4c4f346c1d01739b3c8e9966cc855a68da837256696a1c6",
	"v1-secret-version.json":     "59ce27b49a9c33dee79dfddd1f7c145c21745bf9c040df0ebb8a99164bfa30c6",
	"v1-tombstone.json":          "899b86814853843306665f2146f0436cc7b49580e2a9a3f62767ca6e5400a318",
}

var addGolden = flag.Bool("add-golden", false, "write the golden files that do not exist yet")

func readGolden(t testing.TB) map[string]golden {
	t.Helper()
	files := map[string]golden{}
	for name, sum := range frozen {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(sumOf(raw)); got != sum {
			t.Errorf("%s was changed: its SHA-256 is %s and must stay %s; restore the file", name, got, sum)
		}
		var g golden
		if err := json.Unmarshal(raw, &g); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files[name] = g
	}
	return files
}

func sumOf(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

func TestAGoldenBlobOpensForEver(t *testing.T) {
	files := readGolden(t)
	if len(files) < 7 {
		t.Fatalf("only %d golden files", len(files))
	}
	for name, g := range files {
		h := g.header(t)
		got, err := keys.Open(secretbytes.Own(g.Key), h, g.Context, g.Blob)
		if err != nil || !bytes.Equal(got.Reveal(), g.Plaintext) {
			t.Errorf("%s: %v", name, err)
		}
		if parsed, err := keys.ParseHeader(g.Blob); err != nil || parsed != h || keys.FormatKeyID(parsed.KeyID) != g.KeyID {
			t.Errorf("%s: header %v, %v", name, parsed, err)
		}
	}
}

func TestAGoldenBlobIsWhatAnIndependentImplementationMakes(t *testing.T) {
	for name, g := range readGolden(t) {
		salt, nonce := g.Blob[36:68], g.Blob[68:80]
		if again := independentSeal(g.Key, g.header(t), g.Context, salt, nonce, g.Plaintext); !bytes.Equal(again, g.Blob) {
			t.Errorf("%s: recomputed to\n%x, it is\n%x", name, again, g.Blob)
		}
	}
}

func TestAGoldenFileIsNeverLeftOut(t *testing.T) {
	if *addGolden {
		writeMissingGolden(t)
	}
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() { // the corpus of the fuzz tests
			continue
		}
		if _, ok := frozen[e.Name()]; !ok {
			raw, _ := os.ReadFile(filepath.Join("testdata", e.Name()))
			t.Errorf("testdata/%s is not frozen; add\n\t%q: %q,", e.Name(), e.Name(), hex.EncodeToString(sumOf(raw)))
		}
	}
}

func writeMissingGolden(t *testing.T) {
	t.Helper()
	material := "00112233445566778899aabbccddeeff" + "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	all := map[string]golden{
		"v1-ciphertext-empty.json":   {Kind: keys.KindCiphertext, Plaintext: []byte{}},
		"v1-ciphertext-context.json": {Kind: keys.KindCiphertext, Context: testContext, Plaintext: []byte("a customer's secret")},
		"v1-ciphertext-4096.json":    {Kind: keys.KindCiphertext, Context: keys.Context{"": "", "ä": "€", "b": "2", "a": "1"}, Plaintext: plaintext(4096).Reveal()},
		"v1-key-token-32.json":       {Kind: keys.KindKeyToken, Context: keys.Context{"epoch": "1"}, Plaintext: plaintext(32).Reveal()},
		"v1-secret-version.json":     {Kind: keys.KindSecretVersion, Context: testContext, Plaintext: []byte(`{"username":"shop","password":"hunter2"}`)},
		"v1-tombstone.json":          {Kind: keys.KindTombstone, Context: keys.Context{"uid": "u"}, Plaintext: []byte("{}")},
	}
	for name, g := range all {
		g.Comment = "Blob format version 1, made by Seal. Never change this file."
		g.Key, g.KeyID, g.MaterialID = sumOf([]byte("golden "+name)), "1234abcd-12ab-34cd-56ef-1234567890ab", material
		g.Blob = mustSeal(t, secretbytes.Own(g.Key), g.header(t), g.Context, secretbytes.Own(g.Plaintext))
		raw, err := json.MarshalIndent(g, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join("testdata", name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(f, "%s\n", raw); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
