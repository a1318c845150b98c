// Package backup writes what an installation of Strongroom is made of into one file, sealed to recipients whose identities are offline, and puts it into a
// cluster again.
//
// A file is an age file (https://age-encryption.org/v1) of gzip (RFC 1952) of lines of JSON: a Header; an object each, in the order in which they are to be
// made; and a Trailer, without which it is not whole. age authenticates what is in the file for whoever holds an identity, and not who made it: anybody who
// knows a recipient can make a file for it. So a file is known by its digest, and what it may hold is limited to what an installation is made of.
package backup

import (
	"errors"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// The format that this package writes, and the only one that it reads.
const (
	Format  = "strongroom-backup"
	Version = 1
)

// maximumLine is the length of a line in bytes: etcd takes objects of 1.5 MiB by default, which JSON makes longer.
const maximumLine = 8 << 20

var (
	// ErrFormat says that a file decrypts and is no backup of a version that is known, or holds what no installation is made of.
	ErrFormat = errors.New("it is not a backup that this version of strongroom reads")
	// ErrTruncated says that the end of a file is missing.
	ErrTruncated = errors.New("the backup is not whole: its end is missing")
)

// Header is the first line of a backup.
type Header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	// Created is when it was begun: what was made later may be missing.
	Created time.Time `json:"createdTime"`
	// Namespace is Strongroom's own, in which its root of trust is.
	Namespace string `json:"namespace"`
	// Roots are the core Secrets of the roots of trust, as NAMESPACE/NAME. Earlier versions have those of all HSMClusters among them.
	Roots []string `json:"roots"`
	// WithoutRoot tells that those are left out.
	WithoutRoot bool `json:"withoutRoot,omitempty"`
}

// Trailer is the last line.
type Trailer struct {
	// Objects is how many there are.
	Objects int64 `json:"objects"`
}

// rank is when objects are made: all of a rank before any of the next.
type rank int

const (
	rankNamespace rank = iota
	rankRoot
	rankDomainKey
	rankEnvelope
	rankObject
)

// kinds are those whose objects users make, in the order in which they are put into a backup: users and roles come before what names them. Envelopes are not among them.
var kinds = []string{
	kindHSMCluster, kindKeyring, "IAMPolicy", "IAMGroup", kindIAMUser, kindIAMRole, "KMSKey", "KMSGrant", "CertificateAuthority", "Certificate", "Parameter", "ParameterTree", "Secret",
}

const (
	kindEnvelope   = "Envelope"
	kindHSMCluster = "HSMCluster"
	kindIAMRole    = "IAMRole"
	kindIAMUser    = "IAMUser"
	kindKeyring    = "Keyring"
	kindNamespace  = "Namespace"
	kindSecret     = "Secret" // of the core API
)

func ours(kind string) schema.GroupVersionKind { return v1alpha1.SchemeGroupVersion.WithKind(kind) }

func core(kind string) schema.GroupVersionKind { return corev1.SchemeGroupVersion.WithKind(kind) }

// rankOf is when an object is made. Other kinds than these are in no backup.
func rankOf(o *unstructured.Unstructured) (r rank, known bool) {
	switch gvk := o.GroupVersionKind(); {
	case gvk == core(kindNamespace):
		return rankNamespace, true
	case gvk == core(kindSecret):
		return rankRoot, true
	case gvk == ours(kindEnvelope):
		if class, _, _ := unstructured.NestedString(o.Object, "spec", "class"); class == string(v1alpha1.EnvelopeDomainKey) {
			return rankDomainKey, true
		}
		return rankEnvelope, true
	case gvk.GroupVersion() == v1alpha1.SchemeGroupVersion && slices.Contains(kinds, gvk.Kind):
		return rankObject, true
	}
	return 0, false
}

// transient are annotations that are about an object's place in one cluster at one moment.
var transient = []string{v1alpha1.TakenAnnotation, v1alpha1.ReconcileAnnotation}

// portable is what a backup has of an object: its name, labels, annotations, and what it says, which are made again in another cluster; and who owns it and who holds it by a finalizer,
// which is compared with what is there (see held.go) and made again by nobody. UIDs of owners, and what of its status is about this cluster, are left out.
func portable(o *unstructured.Unstructured) *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: map[string]any{}}
	for field, value := range o.Object {
		if says(o.GroupVersionKind(), field) {
			out.Object[field] = value
		}
	}
	if status := portableStatus(o); status != nil {
		out.Object["status"] = status
	}
	out.SetName(o.GetName())
	if ns := o.GetNamespace(); ns != "" {
		out.SetNamespace(ns)
	}
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	if o.GroupVersionKind() == core(kindNamespace) {
		if at := o.GetCreationTimestamp(); !at.IsZero() { // in this order they are made again
			out.SetCreationTimestamp(at)
		}
		delete(labels, corev1.LabelMetadataName) // the API server's own
	} else {
		noteHands(o, out)
	}
	for name := range annotations {
		if slices.Contains(transient, name) || o.GroupVersionKind() == core(kindSecret) && !strings.HasPrefix(name, v1alpha1.Group+"/") {
			delete(annotations, name)
		}
	}
	if len(labels) > 0 {
		out.SetLabels(labels)
	}
	if len(annotations) > 0 {
		out.SetAnnotations(annotations)
	}
	return out
}

// says tells whether a field is of what an object says. A core Secret is of no type that the API server gives a meaning.
func says(of schema.GroupVersionKind, field string) bool {
	switch {
	case of == core(kindSecret):
		return slices.Contains([]string{"apiVersion", "kind", "data", "immutable"}, field)
	case of == core(kindNamespace):
		return field == "apiVersion" || field == "kind"
	}
	return field != "metadata" && field != "status"
}
