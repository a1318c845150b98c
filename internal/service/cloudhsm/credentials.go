package cloudhsm

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/authority"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
)

const (
	authorityKey, authorityCertificateKey, pinKey, soPINKey = "ca.key", "ca.crt", "pin", "so-pin"
	// domainKeysAnnotation repeats status.domainKeys: it outlives a status that is lost, and the HSMCluster itself.
	domainKeysAnnotation = v1alpha1.Group + "/domain-keys"
	// ClusterAnnotation names the HSMCluster that something in Strongroom's namespace is of, as NAMESPACE/NAME.
	ClusterAnnotation = v1alpha1.Group + "/hsmcluster"
)

// Credentials are a cluster's authority and the PINs of its tokens. They are in a core Secret of Strongroom's own namespace, and not in
// Envelopes: nodes must start while the keyring is sealed, since a cluster may be what unseals it; and not in the namespace of
// the HSMCluster, where its users could read them, and so be its operators.
//
// That core Secret has no owner that would take it along: without it the tokens open no more, so both stay for a recovery window when the HSMCluster goes. See Retire.
type Credentials struct {
	ClusterID string
	Authority *authority.Authority
	// PIN and SOPIN were generated. The owner wipes them.
	PIN, SOPIN secretbytes.Bytes
	// DomainKeys are those that the cluster had when it was last looked at.
	DomainKeys []v1alpha1.HSMDomainKey

	// retired tells that the HSMCluster was deleted since.
	retired bool
}

// Wipe erases the PINs.
func (c *Credentials) Wipe() { c.PIN.Wipe(); c.SOPIN.Wipe() }

// CredentialsName is the name of the core Secret.
func CredentialsName(id string) string { return id + "-authority" }

// CredentialsPattern is what the names match of all core Secrets that are kept for clusters, in Strongroom's own namespace: CredentialsName, the ids
// themselves, in which nodes find their PINs, and RecordName.
var CredentialsPattern = regexp.MustCompile(`^(cluster-[a-z2-7]{11}(-authority)?|pkcs11-token-[a-z2-7]{24})$`)

// errOtherCluster says that credentials under a cluster's id are another's. An id is 55 bits of a hash of names that tenants choose, so two names of
// one id can be found; the annotation tells whose it is.
var errOtherCluster = errors.New("it is of another HSMCluster")

// ReadCredentials finds those of a cluster. The error is NotFound's if there are none yet. Those of another cluster of the same id are refused.
func (c *Clusters) ReadCredentials(ctx context.Context, name types.NamespacedName) (*Credentials, error) {
	id := ClusterID(name.Namespace, name.Name)
	var secret corev1.Secret
	if err := c.Live.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: CredentialsName(id)}, &secret); err != nil {
		return nil, fmt.Errorf("reading the credentials of %s: %w", id, err)
	}
	if secret.Annotations[ClusterAnnotation] != name.String() { // no word of whose they are: that is no business of this cluster's users
		wipe(secret.Data)
		return nil, fault.Stalled(v1alpha1.ReasonConflict, fmt.Errorf("core Secret %s/%s: %w: its annotation %s does not say %s; give this HSMCluster another name, or restore the core Secret from a backup",
			c.Namespace, secret.Name, errOtherCluster, ClusterAnnotation, name))
	}
	a, err := authority.Parse(secret.Data[authorityCertificateKey], secret.Data[authorityKey], c.Now())
	clear(secret.Data[authorityKey])
	if err != nil {
		return nil, fmt.Errorf("core Secret %s/%s: %w; restore it from a backup", c.Namespace, secret.Name, err)
	}
	out := &Credentials{ClusterID: id, Authority: a, PIN: secretbytes.Own(secret.Data[pinKey]), SOPIN: secretbytes.Own(secret.Data[soPINKey])}
	_, out.retired = secret.Labels[retiredLabel]
	if out.PIN.Len() == 0 || out.SOPIN.Len() == 0 {
		out.Wipe()
		return nil, fmt.Errorf("core Secret %s/%s has no %s or no %s; restore it from a backup", c.Namespace, secret.Name, pinKey, soPINKey)
	}
	if text := secret.Annotations[domainKeysAnnotation]; text != "" {
		if err := json.Unmarshal([]byte(text), &out.DomainKeys); err != nil {
			out.Wipe()
			return nil, fmt.Errorf("core Secret %s/%s: annotation %s: %w; restore it from a backup", c.Namespace, secret.Name, domainKeysAnnotation, err)
		}
	}
	return out, nil
}

func wipe(data map[string][]byte) {
	for _, value := range data {
		clear(value)
	}
}

// Credentials finds those of a cluster or makes them.
//
// Atomic: the whole core Secret is made or none, and immutable from then on. Of two who make it, one is told AlreadyExists and reads the other's.
func (c *Clusters) Credentials(ctx context.Context, hc *v1alpha1.HSMCluster) (*Credentials, error) {
	name := client.ObjectKeyFromObject(hc)
	id := ClusterID(hc.Namespace, hc.Name)
	found, err := c.ReadCredentials(ctx, name)
	if err == nil && found.retired {
		if err := c.revive(ctx, name); err != nil {
			found.Wipe()
			return nil, err
		}
	}
	if !apierrors.IsNotFound(err) {
		return found, err
	}
	if len(hc.Status.DomainKeys) > 0 {
		return nil, fmt.Errorf("core Secret %s/%s, with the PINs of the tokens, is missing; restore it from a backup: %w", c.Namespace, CredentialsName(id), err)
	}
	a, err := authority.New("strongroom-hsm "+id, c.Now())
	if err != nil {
		return nil, err
	}
	key, err := a.KeyPEM()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	pin, soPIN := newPIN(), newPIN()
	defer clear(pin)
	defer clear(soPIN)
	err = c.Direct.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Namespace, Name: CredentialsName(id),
			Annotations: map[string]string{ClusterAnnotation: name.String()},
		},
		Immutable: ptr.To(true),
		Data:      map[string][]byte{authorityCertificateKey: a.CertificatePEM(), authorityKey: key, pinKey: pin, soPINKey: soPIN},
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("making the credentials of %s: %w", id, err)
	}
	return c.ReadCredentials(ctx, name)
}

// newPIN is 160 random bits as 32 characters, which every module takes.
func newPIN() []byte {
	random := make([]byte, 20)
	defer clear(random)
	_, _ = rand.Read(random) // it never fails
	return base32.StdEncoding.AppendEncode(nil, random)
}

// RecordDomainKeys keeps what domain keys a cluster has, before status says that it may be used: from then on no other is ever made in their place.
func (c *Clusters) RecordDomainKeys(ctx context.Context, id string, domainKeys []v1alpha1.HSMDomainKey) error {
	return c.record(ctx, id, domainKeysAnnotation, domainKeys)
}

// record writes one annotation of the core Secret, which is a whole write or none.
func (c *Clusters) record(ctx context.Context, id, annotation string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %s of %s: %w", annotation, id, err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotation: string(text)}}})
	if err != nil {
		return fmt.Errorf("encoding %s of %s: %w", annotation, id, err)
	}
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: CredentialsName(id)}}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := c.Direct.Patch(ctx, secret, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("recording %s of %s: %w", annotation, id, err)
	}
	return nil
}

// NodeCertificate makes the certificate of a cluster's nodes, for the names that they are dialled by. All nodes have the same one: they hold the same
// keys and PINs, so certificates of their own would keep nothing from each other.
func (c *Credentials) NodeCertificate(names []string, now time.Time) (chain, key []byte, err error) {
	certificate, err := c.Authority.IssueTo(authority.Identity{
		CommonName: "strongroom-hsm", Names: append(slices.Clone(names), mtls.Name(c.ClusterID, mtls.Node, "node").String()),
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, now)
	if err != nil {
		return nil, nil, err
	}
	return authority.PEM(certificate)
}

// GoodCertificate tells whether a node's certificate is for these names and need not be renewed yet, and when it must be.
func (c *Credentials) GoodCertificate(chain, key []byte, names []string, now time.Time) (renewal time.Time, good bool) {
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil || !c.Authority.Issued(pair.Leaf, now) {
		return time.Time{}, false
	}
	for _, name := range names {
		if pair.Leaf.VerifyHostname(sample(name)) != nil {
			return time.Time{}, false
		}
	}
	renewal = authority.RenewalTime(pair.Leaf)
	return renewal, now.Before(renewal)
}

// sample is a host of a wildcard's.
func sample(name string) string {
	if len(name) > 0 && name[0] == '*' {
		return "x" + name[1:]
	}
	return name
}

// operator is the certificate of this process to a cluster's nodes. Its key is in memory alone, so that each replica has another, and renewed in place.
func (c *Clusters) operator(credentials *Credentials) mtls.Source {
	var current operatorMaterial
	id, a := credentials.ClusterID, credentials.Authority
	return func() (*mtls.Material, error) { return current.get(id, a, c.Now()) }
}
