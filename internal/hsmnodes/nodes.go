// Package hsmnodes runs the nodes of HSM clusters: as pods of a StatefulSet, or as processes on this machine.
package hsmnodes

import (
	"context"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Cluster is what nodes are to be.
type Cluster struct {
	// ID of the cluster, which is in certificates, and in the names of all that runs.
	ID string
	// Owner is the HSMCluster, as NAMESPACE/NAME.
	Owner string
	// Size is the number of nodes.
	Size int
	// FIPS lets nodes run with Go's FIPS 140-3 module.
	FIPS bool
	// SoftHSM gives each node a token of SoftHSM's. Library and TokenLabel say which library and token otherwise.
	SoftHSM             bool
	Library, TokenLabel string
}

// Files are what nodes read. Whoever made them wipes them.
type Files struct {
	// Certificate of the nodes with its key, and the authority that callers must have one of, in PEM.
	Certificate, Key, Authority []byte
	// PIN of the user, and that of the security officer, which may be empty.
	PIN, SOPIN secretbytes.Bytes
}

// Wipe erases what is secret.
func (f *Files) Wipe() {
	clear(f.Key)
	f.PIN.Wipe()
	f.SOPIN.Wipe()
}

// Node is one that is to run.
type Node struct {
	// Name of the pod or of the directory.
	Name string
	// Address that serves its API, HOST:PORT.
	Address string
	// Message says why it does not run, if that is known.
	Message string
}

// Noticer is a Host that may have something to say of what runs that is no failure.
type Noticer interface {
	// Notice is what people should know of a cluster's nodes, as they were applied last; empty for nothing.
	Notice(c Cluster) string
}

// Host is where nodes run. It is safe for concurrent use, for different clusters.
type Host interface {
	// Module is the one path that stands for a PKCS#11 library among all those that lead to it, as far as can be seen from here: the first one in the list of those that nodes may load.
	Module(library string) string
	// Names are the DNS names and IP addresses that nodes are dialled by.
	Names(c Cluster) []string
	// Certificate is the one that nodes have, with its key; empty if there is none.
	Certificate(ctx context.Context, c Cluster) (certificate, key []byte, err error)
	// Apply lets that many nodes run, with these files, and changes what is otherwise. It can be repeated after any failure. Tokens of nodes that are
	// too many stay where they are.
	Apply(ctx context.Context, c Cluster, f *Files) ([]Node, error)
	// Allows says whether the operator lets nodes load the library that a cluster names, and use the token. It wraps ErrLibraryNotAllowed.
	Allows(c Cluster) error
	// Stop stops the nodes of a cluster that may not run any more, as Remove does. Where none runs it writes nothing.
	Stop(ctx context.Context, c Cluster) error
	// Remove stops all nodes. Their tokens stay.
	Remove(ctx context.Context, c Cluster) error
	// Erase removes the tokens of a cluster whose nodes were removed. It can be repeated after any failure.
	Erase(ctx context.Context, c Cluster) error
}

// softHSMLabel is the label of SoftHSM's tokens.
const softHSMLabel = "strongroom"

// library and token of a cluster's nodes.
func (c Cluster) module() (library, label string) {
	if c.SoftHSM {
		return softHSMLibrary, softHSMLabel
	}
	return c.Library, c.TokenLabel
}

// goDebug is the environment variable that turns Go's FIPS module on or off.
func (c Cluster) goDebug() string {
	if c.FIPS {
		return "fips140=on"
	}
	return "fips140=off"
}
