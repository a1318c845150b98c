package keyring

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Context is authenticated with what a Root wraps.
type Context = keys.Context

// Root is a provider of the root key. It wraps and unwraps and never hands out bytes, so that a root that stays inside
// of an HSM or another KMS fits. It is safe for concurrent use.
type Root interface {
	// Name of the provider for people, for example CoreSecret.
	Name() string
	// Wrap encrypts a key of 32 bytes and binds aad to it.
	Wrap(ctx context.Context, key secretbytes.Bytes, aad Context) ([]byte, error)
	// Unwrap decrypts what Wrap made under the same root key and with the same aad, and fails with anything else. The
	// caller owns the key.
	Unwrap(ctx context.Context, wrapped []byte, aad Context) (secretbytes.Bytes, error)
}

// Protector is what a Root may also be.
type Protector interface {
	// Protected tells whether the root key is out of reach of whoever can read the cluster's Secrets, and says in a
	// sentence what that means.
	Protected() (bool, string)
}

// Protection is what a Root says of itself, and that it is not protected if it says nothing.
func Protection(root Root) (protected bool, message string) {
	if p, ok := root.(Protector); ok {
		return p.Protected()
	}
	return false, fmt.Sprintf("The root %s does not say where its key is kept.", root.Name())
}

// ErrOtherRoot says that something was wrapped by another root key than the one at hand.
var ErrOtherRoot = errors.New("wrapped by another root")

// SoftwareOption is an option of NewSoftwareRoot.
type SoftwareOption func(*softwareRoot)

// WithProtection says what Protected answers. Without it a software root is not protected.
func WithProtection(protected bool, message string) SoftwareOption {
	return func(r *softwareRoot) { r.protected, r.message = protected, message }
}

// softwareRoot wraps with blobs of package keys. The key id of a blob's header is the root's id, so that the wrong root
// is told from a damaged record. KindKeyToken is right for it: a domain key is key material, and the key that seals is
// made for this purpose alone.
type softwareRoot struct {
	name      string
	key       secretbytes.Bytes
	id        [16]byte
	err       error
	protected bool
	message   string
}

// NewSoftwareRoot is a root whose key of 32 bytes is in this process's memory. It keeps a key derived from root and not
// root itself, which the caller may wipe. A root of another length makes a Root that fails at every use.
func NewSoftwareRoot(name string, root secretbytes.Bytes, options ...SoftwareOption) Root {
	r := &softwareRoot{
		name:    name,
		message: "The root key is readable for everybody who may read Secrets in Strongroom's namespace.",
	}
	for _, option := range options {
		option(r)
	}
	if root.Len() != keys.KeySize {
		r.err = fmt.Errorf("the root %s is %d bytes and must be %d; restore it from its backup", name, root.Len(), keys.KeySize)
		return r
	}
	var id secretbytes.Bytes
	secretbytes.Do(func() {
		if r.key, r.err = derive(root, "strongroom/v1/root/wrap", keys.KeySize); r.err == nil {
			id, r.err = derive(root, "strongroom/v1/root/id", len(r.id))
		}
	})
	copy(r.id[:], id.Reveal())
	return r
}

// Format prints a fixed word for every verb, see Keyring.Format.
func (r softwareRoot) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

func (r *softwareRoot) Name() string { return r.name }

func (r *softwareRoot) Protected() (bool, string) { return r.protected, r.message }

func (r *softwareRoot) Wrap(_ context.Context, key secretbytes.Bytes, aad Context) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	return keys.Seal(r.key, r.header(), aad, key)
}

func (r *softwareRoot) Unwrap(_ context.Context, wrapped []byte, aad Context) (secretbytes.Bytes, error) {
	if r.err != nil {
		return secretbytes.Bytes{}, r.err
	}
	// The id tells nothing of the root key, and whoever asks has both at hand: no harm in saying more than Open does.
	if h, err := keys.ParseHeader(wrapped); err == nil && h.KeyID != r.id {
		return secretbytes.Bytes{}, fmt.Errorf("%w: by the one with the id %s, and %s is now %s; restore the root of that id",
			ErrOtherRoot, hex.EncodeToString(h.KeyID[:]), r.name, hex.EncodeToString(r.id[:]))
	}
	return keys.Open(r.key, r.header(), aad, wrapped)
}

func (r *softwareRoot) header() keys.Header {
	return keys.Header{Kind: keys.KindKeyToken, KeyID: r.id}
}

// derive is HKDF-SHA-256 (RFC 5869) without a salt, as key is a uniformly random key. Call it within secretbytes.Do.
func derive(key secretbytes.Bytes, info string, size int) (secretbytes.Bytes, error) {
	b, err := hkdf.Key(sha256.New, key.Reveal(), nil, info, size)
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("deriving a key: %w", err)
	}
	return secretbytes.Own(b), nil
}
