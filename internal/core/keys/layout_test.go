package keys_test

import (
	"bytes"
	"crypto/fips140"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
)

// row is a row of the table of the format in docs/architecture.md: the bytes from and to, and what they are.
type row struct {
	from, to int
	what     string
}

// documentedLayout reads that table. Whoever writes another implementation has only it.
func documentedLayout(t *testing.T) []row {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "### Ciphertext blob, format 1")
	if !found {
		t.Fatal("the page has no section of the format")
	}
	var rows []row
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+)(?:–(\d+))? \| (.*) \|$`).FindAllStringSubmatch(section, -1) {
		from, _ := strconv.Atoi(m[1])
		to := from
		if m[2] != "" {
			to, _ = strconv.Atoi(m[2])
		}
		rows = append(rows, row{from, to, m[3]})
	}
	return rows
}

func TestABlobIsLaidOutAsThePageOfTheArchitectureSays(t *testing.T) {
	h := testHeader
	h.Kind = keys.KindTombstone
	material := bytes.Repeat([]byte{0xee}, 16)
	copy(h.MaterialID[:], material)
	blob := mustSeal(t, testKey, h, testContext, plaintext(40))
	next := 0
	for _, r := range documentedLayout(t) {
		if r.from != next {
			t.Errorf("%q begins at %d, and the row above ends before %d", r.what, r.from, next)
		}
		next = r.to + 1
		got := blob[r.from : r.to+1]
		switch {
		case strings.HasPrefix(r.what, "format"), strings.HasPrefix(r.what, "suite"):
			if !bytes.Equal(got, []byte{1}) {
				t.Errorf("%q is %x", r.what, got)
			}
		case strings.HasPrefix(r.what, "kind"):
			if !strings.Contains(r.what, strconv.Itoa(int(got[0]))+" tombstone") {
				t.Errorf("%q is %x", r.what, got)
			}
		case r.what == "0":
			if got[0] != 0 {
				t.Errorf("the byte at %d is %x", r.from, got)
			}
		case r.what == "key id":
			if !bytes.Equal(got, h.KeyID[:]) {
				t.Errorf("key id is %x", got)
			}
		case strings.Contains(r.what, "key material's id"):
			if !bytes.Equal(got, material) {
				t.Errorf("material id is %x", got)
			}
		}
	}
	// The last row is the nonce's; after it come the ciphertext and the tag.
	if next != 80 || len(blob) != next+40+16 {
		t.Errorf("the table ends before byte %d, and a blob of 40 bytes has %d", next, len(blob))
	}
}

// Open, written from the words under that table: each piece is taken from the rows, none from the package.
func TestABlobOpensByThePageAlone(t *testing.T) {
	at := map[string]row{}
	for _, r := range documentedLayout(t) {
		name, _, _ := strings.Cut(r.what, " ")
		at[strings.TrimSuffix(name, ",")] = r
	}
	cut := func(blob []byte, name string) []byte { return blob[at[name].from : at[name].to+1] }
	blob := mustSeal(t, testKey, testHeader, testContext, plaintext(40))
	header := blob[:at["salt"].from]
	var got []byte
	var err error
	fips140.WithoutEnforcement(func() {
		_, aad, gcm := independentParts(testKey.Reveal(), testHeader, testContext, cut(blob, "salt"))
		if !bytes.HasPrefix(aad, header) {
			t.Error("the associated data does not begin with the header")
		}
		got, err = gcm.Open(nil, cut(blob, "nonce"), blob[at["nonce"].to+1:], aad)
	})
	if err != nil || !bytes.Equal(got, plaintext(40).Reveal()) {
		t.Errorf("%v", err)
	}
}

// The number of a kind is in every blob, so none may ever change, and the page must not name another.
func TestTheNumbersOfKindsAreFrozen(t *testing.T) {
	for kind, want := range map[keys.Kind]byte{
		keys.KindCiphertext: 1, keys.KindKeyToken: 2, keys.KindSecretVersion: 3, keys.KindParameterVersion: 4, keys.KindGrantToken: 5,
		keys.KindImportToken: 6, keys.KindBackupChunk: 7, keys.KindPageToken: 8, keys.KindTombstone: 9, keys.KindAccessKey: 10,
	} {
		if got := mustSeal(t, testKey, keys.Header{Kind: kind}, nil, plaintext(1))[2]; got != want {
			t.Errorf("kind %d is written as %d", want, got)
		}
	}
}
