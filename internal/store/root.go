package store

import (
	"strings"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// KeyringOwner is the owner of the Envelopes that hold domain keys. There is no object of it.
var KeyringOwner = v1alpha1.EnvelopeOwner{Kind: "Keyring", Name: "strongroom"}

const (
	rootPrefix = "root:"
	hsmPrefix  = "hsm:"
)

// RootKeyARN is spec.keyArn of the Envelope of a domain key: the name of the root that wrapped it, and which of that root's keys did, if the root has
// several. It is not authenticated: it says whom to ask, and not that the answer is right.
//
//	root:CoreSecret
//	root:hsm:NAMESPACE/NAME:EPOCH:KEY-CHECK-VALUE
func RootKeyARN(root, identity string) string {
	if identity == "" {
		return rootPrefix + root
	}
	return rootPrefix + root + ":" + identity
}

// RootOf reads what RootKeyARN made.
func RootOf(keyARN string) (root, identity string) {
	name := strings.TrimPrefix(keyARN, rootPrefix)
	if object, ok := strings.CutPrefix(name, hsmPrefix); ok {
		object, identity, _ = strings.Cut(object, ":") // names of Kubernetes have none
		return hsmPrefix + object, identity
	}
	return name, ""
}

// RootHSM is the name of the root that an HSMCluster is.
func RootHSM(namespace, name string) string { return hsmPrefix + namespace + "/" + name }

// Answers is the request that a domain key was made for, empty if that was none: the value of v1alpha1.RotateAnnotation. It is not known of one that was made at the first
// start, or by an earlier version.
func Answers(e *v1alpha1.Envelope) (request string, known bool) {
	request, known = e.Annotations[v1alpha1.RotateAnnotation]
	return request, known
}
