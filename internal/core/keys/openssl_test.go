package keys_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// openssl runs in a folder of its own.
type openssl struct {
	testing.TB
	dir string
}

func newOpenssl(t testing.TB) openssl {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is not installed: apt-get install -y openssl")
	}
	return openssl{t, t.TempDir()}
}

func (o openssl) file(name string, content []byte) string {
	o.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		o.Fatal(err)
	}
	return path
}

func (o openssl) run(arguments ...string) []byte {
	o.Helper()
	command := exec.CommandContext(o.Context(), "openssl", arguments...)
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		o.Errorf("openssl %v: %v: %s", arguments, err, said.String())
	}
	return out
}

// has tells whether this openssl knows an algorithm of keys: ML-DSA and ML-KEM came with 3.5.
func (o openssl) has(algorithm string) bool {
	return exec.CommandContext(o.Context(), "openssl", "genpkey", "-algorithm", algorithm, "-out", filepath.Join(o.dir, "try")).Run() == nil
}

// openssl verifies what Strongroom signs, and Strongroom verifies what openssl signs with the same private key.
func TestOpensslAgreesAboutEverySpecAndAlgorithm(t *testing.T) {
	o := newOpenssl(t)
	const text = "what openssl sees too"
	postQuantum := o.has("ML-DSA-44")
	t.Logf("openssl has ML-DSA: %v", postQuantum)
	for _, spec := range asymmetric {
		if strings.HasPrefix(string(spec), "ML_") && !postQuantum {
			continue
		}
		key := private(t, spec)
		publicFile, privateFile := o.file("public", key.Public().DER()), o.file("private", generated()[spec].Reveal())
		for _, a := range spec.SigningAlgorithms() {
			if a == keys.ED25519PHSHA512 { // openssl's command line has no Ed25519ph before 3.4; RFC 8032's vector is tried instead
				continue
			}
			var how []string
			if hash := a[len(a)-3:]; a != keys.ED25519SHA512 && a != keys.MLDSASHAKE256 {
				how = []string{"-rawin", "-digest", "sha" + string(hash)}
			} else {
				how = []string{"-rawin"}
			}
			if strings.HasPrefix(string(a), "RSASSA_PSS") {
				how = append(how, "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest")
			}
			message := saying(a, text)
			signature, err := key.Sign(a, message)
			if err != nil {
				t.Fatal(err)
			}
			in := append(how, "-in", o.file("message", []byte(text)))
			o.run(append([]string{"pkeyutl", "-verify", "-pubin", "-inkey", publicFile, "-keyform", "DER", "-sigfile", o.file("signature", signature)}, in...)...)
			theirs := o.run(append([]string{"pkeyutl", "-sign", "-inkey", privateFile, "-keyform", "DER"}, in...)...)
			if err := key.Public().Verify(a, message, theirs); err != nil {
				t.Errorf("%s by %s: what openssl signed: %v", spec, a, err)
			}
		}
	}
}

// The DER of what x509 does not know is openssl's, byte for byte, in both directions.
func TestKeysOfSecp256k1AreWrittenAsOpensslWritesThem(t *testing.T) {
	o := newOpenssl(t)
	ours := generated()[keys.SECGP256K1].Reveal()
	rewritten := o.run("pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER", "-in", o.file("ours", ours))
	if !bytes.Equal(rewritten, ours) {
		t.Errorf("a private key: ours is\n%x, and openssl writes\n%x", ours, rewritten)
	}
	if public := o.run("pkey", "-inform", "DER", "-in", o.file("ours", ours), "-pubout", "-outform", "DER"); !bytes.Equal(public, private(t, keys.SECGP256K1).Public().DER()) {
		t.Errorf("a public key: openssl writes %x", public)
	}
	pem := o.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1")
	theirs := o.run("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", o.file("pem", pem))
	key, err := keys.ParsePrivateKey(keys.SECGP256K1, secretbytes.Copy(theirs))
	if err != nil {
		t.Fatal(err)
	}
	if public := o.run("pkey", "-inform", "DER", "-in", o.file("theirs", theirs), "-pubout", "-outform", "DER"); !bytes.Equal(public, key.Public().DER()) {
		t.Errorf("the public half of openssl's key: %x", public)
	}
}

// openssl opens what Strongroom encapsulates and the other way round, and its keys' DER is Strongroom's, byte for byte.
func TestOpensslAgreesAboutKeysOfMLKEM(t *testing.T) {
	o := newOpenssl(t)
	if !o.has("ML-KEM-768") {
		t.Skip("openssl has no ML-KEM before 3.5; TestKeysOfMLKEMAreWrittenAsRFC9935Says looks at the DER, and Wycheproof's vectors at the rest")
	}
	for _, spec := range []keys.Spec{keys.MLKEM768, keys.MLKEM1024} {
		ours := private(t, spec)
		name := strings.ReplaceAll(string(spec), "_", "-")
		pem := o.run("genpkey", "-algorithm", name, "-provparam", "ml-kem.output_formats=seed-only")
		der := o.run("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-provparam", "ml-kem.output_formats=seed-only", "-in", o.file("pem", pem))
		theirs, err := keys.ParsePrivateKey(spec, secretbytes.Copy(der))
		if err != nil {
			t.Fatalf("%s: openssl's key: %v", spec, err)
		}
		for name, k := range map[string]struct {
			key   *keys.PrivateKey
			pkcs8 []byte
		}{"ours": {ours, generated()[spec].Reveal()}, "theirs": {theirs, der}} {
			privateFile, publicFile := o.file("private", k.pkcs8), o.file("public", k.key.Public().DER())
			if public := o.run("pkey", "-inform", "DER", "-in", privateFile, "-pubout", "-outform", "DER"); !bytes.Equal(public, k.key.Public().DER()) {
				t.Errorf("%s, %s: the public half: openssl writes %x", spec, name, public)
			}
			secret, ciphertext, err := k.key.Public().Encapsulate(keys.MLKEM)
			if err != nil {
				t.Fatal(err)
			}
			opened := filepath.Join(o.dir, "opened")
			o.run("pkeyutl", "-decap", "-inkey", privateFile, "-keyform", "DER", "-in", o.file("ciphertext", ciphertext), "-secret", opened)
			if got, err := os.ReadFile(opened); err != nil || !bytes.Equal(got, secret.Reveal()) {
				t.Errorf("%s, %s: openssl has another secret: %v", spec, name, err)
			}
			sealed, shared := filepath.Join(o.dir, "sealed"), filepath.Join(o.dir, "shared")
			o.run("pkeyutl", "-encap", "-pubin", "-inkey", publicFile, "-keyform", "DER", "-out", sealed, "-secret", shared)
			blob, err := os.ReadFile(sealed)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(shared)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.key.Decapsulate(keys.MLKEM, blob); err != nil || !bytes.Equal(got.Reveal(), want) {
				t.Errorf("%s, %s: what openssl encapsulated: %v", spec, name, err)
			}
		}
	}
}
