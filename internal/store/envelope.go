// Package store keeps Envelopes in the Kubernetes API and finds them again.
//
// Order of writes: an Envelope is made first, the index that names it (the owning object's status) is written second,
// and that second write commits. An Envelope's name derives from its class, subject and sequence, so the API server
// lets one writer only make the next version: a second one, be it a former leader or the same controller after a
// crash, finds the first one's Envelope and goes on with it.
package store

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/versions"
)

// prefixes of Envelope names, so that a listing can be read.
var prefixes = map[v1alpha1.EnvelopeClass]string{
	v1alpha1.EnvelopeSecretVersion: "secret-version",
	v1alpha1.EnvelopeKeyMaterial:   "key-material",
	v1alpha1.EnvelopeDomainKey:     "domain-key",
	v1alpha1.EnvelopeTombstone:     "tombstone",
	v1alpha1.EnvelopeAccessKey:     "access-key",

	v1alpha1.EnvelopePrivateKey:        "private-key",
	v1alpha1.EnvelopeIssuedCertificate: "issued-certificate",
	v1alpha1.EnvelopeRevocation:        "revocation",
	v1alpha1.EnvelopeParameterVersion:  "parameter-version",
}

var nameEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Name is the name of the Envelope of a class, subject and sequence: 80 bits of SHA-256 tell the subjects of a
// namespace apart.
func Name(class v1alpha1.EnvelopeClass, subject string, sequence int64) string {
	text := append(append(append(make([]byte, 0, 256), class...), 0), subject...) // enough for most, and not on the heap
	sum := sha256.Sum256(text)
	name := append(append(make([]byte, 0, 64), prefixes[class]...), '-')
	name = append(nameEncoding.AppendEncode(name, sum[:10]), '-')
	return string(strconv.AppendInt(name, sequence, 10))
}

// New makes an Envelope without its payload.
func New(namespace string, class v1alpha1.EnvelopeClass, owner v1alpha1.EnvelopeOwner, subject string,
	v versions.Version, keyARN string,
) *v1alpha1.Envelope {
	return &v1alpha1.Envelope{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Name(class, subject, v.Sequence)},
		Spec: v1alpha1.EnvelopeSpec{
			Class: class, Owner: owner, Subject: subject,
			Version: v.ID, Sequence: v.Sequence, Stages: v.Stages,
			CreatedTime: metav1.NewTime(v.Created).Rfc3339Copy(), KeyARN: keyARN,
		},
	}
}

// Version is the index entry that an Envelope was made for.
func Version(e *v1alpha1.Envelope) versions.Version {
	return versions.Version{
		ID: e.Spec.Version, Sequence: e.Spec.Sequence, Stages: e.Spec.Stages, Created: e.Spec.CreatedTime.UTC(),
	}
}

// Binding is the encryption context that ties a payload to its Envelope: all of the spec but the ciphertexts, and the
// namespace. The UID is not in it, since a backup tool makes objects again under another.
func Binding(e *v1alpha1.Envelope) keys.Context { return Bound(e).Context() }

// Bound is Binding in the order of its names, which is how a payload is opened: it is done for each value of each request.
func Bound(e *v1alpha1.Envelope) keys.Ordered {
	expires := ""
	if e.Spec.ExpireTime != nil {
		expires = strconv.FormatInt(e.Spec.ExpireTime.Unix(), 10)
	}
	out := make(keys.Ordered, 0, boundNames)
	if e.Spec.Binary { // and nothing if not: Envelopes from before there was the field open as ever
		out = append(out, keys.Entry{Name: "binary", Value: "true"})
	}
	out = append(out,
		keys.Entry{Name: "class", Value: string(e.Spec.Class)},
		keys.Entry{Name: "created", Value: strconv.FormatInt(e.Spec.CreatedTime.Unix(), 10)},
		keys.Entry{Name: "expires", Value: expires})
	if e.Spec.Import != nil { // likewise
		out = append(out, keys.Entry{Name: "import", Value: importBinding(e.Spec.Import)})
	}
	return append(out,
		keys.Entry{Name: "key", Value: e.Spec.KeyARN},
		keys.Entry{Name: "namespace", Value: e.Namespace},
		keys.Entry{Name: "owner", Value: e.Spec.Owner.Kind + "/" + e.Spec.Owner.Name},
		keys.Entry{Name: "sequence", Value: strconv.FormatInt(e.Spec.Sequence, 10)},
		keys.Entry{Name: "stages", Value: joined(e.Spec.Stages)},
		keys.Entry{Name: "subject", Value: e.Spec.Subject},
		keys.Entry{Name: "version", Value: e.Spec.Version})
}

// boundNames is how many names Bound has at most.
const boundNames = 12

// importBinding is all that an Envelope says of an import.
func importBinding(i *v1alpha1.KeyMaterialImport) string {
	text, _ := json.Marshal(i) // cannot fail: strings, numbers and times; and an empty text opens nothing that was sealed
	return string(text)
}

// joined joins stages so that no two lists look alike: a staging label may hold commas.
func joined(stages []string) string {
	if len(stages) == 1 && !strings.ContainsAny(stages[0], `\,`) { // as nearly always
		return stages[0]
	}
	escaped := make([]string, len(stages))
	for i, s := range stages {
		escaped[i] = escaper.Replace(s)
	}
	return strings.Join(escaped, ",")
}

var escaper = strings.NewReplacer(`\`, `\\`, ",", `\,`)

// CheckIdentity says whether an Envelope is the one that its name and the index entry of an owner promise. What it cannot see,
// the encryption does: Binding. The owner is looked at since a status can name the subject of another object.
func CheckIdentity(e *v1alpha1.Envelope, owner v1alpha1.EnvelopeOwner, subject string, v versions.Version) error {
	switch {
	case e.Name != Name(e.Spec.Class, e.Spec.Subject, e.Spec.Sequence):
		return fmt.Errorf("%w: Envelope %s is under another Envelope's name", ErrTampered, e.Name)
	case e.Spec.Subject != subject:
		return fmt.Errorf("%w: Envelope %s is of another subject", ErrTampered, e.Name)
	case e.Spec.Owner != owner:
		return fmt.Errorf("%w: Envelope %s belongs to %s %s, not to %s %s", ErrTampered, e.Name,
			e.Spec.Owner.Kind, e.Spec.Owner.Name, owner.Kind, owner.Name)
	case e.Spec.Sequence != v.Sequence || e.Spec.Version != v.ID:
		return fmt.Errorf("%w: Envelope %s holds version %s, not %s", ErrTampered, e.Name, e.Spec.Version, v.ID)
	}
	return nil
}
