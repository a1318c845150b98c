package gosdk_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// The public key is all that openssl has: what was signed is valid for others, who never ask the gateway.
func TestWhatIsSignedOpensslVerifiesWithThePublicKey(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal(err)
	}
	client := kms.NewFromConfig(loaded(t))
	message := []byte("attack at dawn")
	pss := []string{"-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"}
	for _, tt := range []struct {
		spec      kmstypes.KeySpec
		algorithm kmstypes.SigningAlgorithmSpec
		options   []string
	}{
		{kmstypes.KeySpecRsa2048, kmstypes.SigningAlgorithmSpecRsassaPkcs1V15Sha256, []string{"-sha256"}},
		{kmstypes.KeySpecRsa2048, kmstypes.SigningAlgorithmSpecRsassaPssSha384, append([]string{"-sha384"}, pss...)},
		{kmstypes.KeySpecEccNistP256, kmstypes.SigningAlgorithmSpecEcdsaSha256, []string{"-sha256"}},
		{kmstypes.KeySpecEccNistP384, kmstypes.SigningAlgorithmSpecEcdsaSha384, []string{"-sha384"}},
		{kmstypes.KeySpecEccNistP521, kmstypes.SigningAlgorithmSpecEcdsaSha512, []string{"-sha512"}},
	} {
		t.Run(string(tt.algorithm), func(t *testing.T) {
			made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: tt.spec, KeyUsage: kmstypes.KeyUsageTypeSignVerify})
			if err != nil {
				t.Fatal(err)
			}
			id := made.KeyMetadata.KeyId
			signed, err := client.Sign(t.Context(), &kms.SignInput{KeyId: id, Message: message, SigningAlgorithm: tt.algorithm})
			if err != nil {
				t.Fatal(err)
			}
			public, err := client.GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: id})
			if err != nil {
				t.Fatal(err)
			}
			if out, err := openssl(t, public.PublicKey, signed.Signature, message, tt.options); err != nil {
				t.Errorf("openssl: %v: %s", err, out)
			}
			if out, err := openssl(t, public.PublicKey, signed.Signature, []byte("attack at dusk"), tt.options); err == nil {
				t.Errorf("openssl verified another message: %s", out)
			}
		})
	}
}

// openssl verifies a signature of a message by a SubjectPublicKeyInfo.
func openssl(t *testing.T, public, signature, message []byte, options []string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	arguments := append([]string{"dgst", "-verify", key, "-signature", file("signature", signature)}, options...)
	out, err := exec.CommandContext(t.Context(), "openssl", append(arguments, file("message", message))...).CombinedOutput()
	return string(out), err
}

func TestSignaturesAreVerifiedAndRefusedWithTypedErrors(t *testing.T) {
	client := kms.NewFromConfig(loaded(t))
	made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: kmstypes.KeySpecEccNistP256, KeyUsage: kmstypes.KeyUsageTypeSignVerify})
	if err != nil {
		t.Fatal(err)
	}
	id, algorithm := made.KeyMetadata.KeyId, kmstypes.SigningAlgorithmSpecEcdsaSha256
	digest := sha256.Sum256([]byte("x"))
	signed, err := client.Sign(t.Context(), &kms.SignInput{
		KeyId: id, Message: digest[:], MessageType: kmstypes.MessageTypeDigest, SigningAlgorithm: algorithm,
	})
	if err != nil {
		t.Fatal(err)
	}
	verify := func(message, signature []byte) (*kms.VerifyOutput, error) {
		return client.Verify(t.Context(), &kms.VerifyInput{KeyId: id, Message: message, Signature: signature, SigningAlgorithm: algorithm})
	}
	if out, err := verify([]byte("x"), signed.Signature); err != nil || !out.SignatureValid {
		t.Errorf("%+v, %v", out, err)
	}
	var invalid *kmstypes.KMSInvalidSignatureException
	if _, err := verify([]byte("y"), signed.Signature); !errors.As(err, &invalid) {
		t.Errorf("another message: %v", err)
	}
	broken := bytes.Clone(signed.Signature)
	broken[len(broken)-1] ^= 1
	if _, err := verify([]byte("x"), broken); !errors.As(err, &invalid) {
		t.Errorf("a broken signature: %v", err)
	}
	var usage *kmstypes.InvalidKeyUsageException
	if _, err := client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: id, Plaintext: []byte("x")}); !errors.As(err, &usage) {
		t.Errorf("it encrypts: %v", err)
	}
	var unsupported *kmstypes.UnsupportedOperationException
	if _, err := client.EnableKeyRotation(t.Context(), &kms.EnableKeyRotationInput{KeyId: id}); !errors.As(err, &unsupported) {
		t.Errorf("it rotates: %v", err)
	}
	var dry *kmstypes.DryRunOperationException
	if _, err := client.Sign(t.Context(), &kms.SignInput{
		KeyId: id, Message: []byte("x"), SigningAlgorithm: algorithm, DryRun: aws.Bool(true),
	}); !errors.As(err, &dry) {
		t.Errorf("a dry run: %v", err)
	}
}
