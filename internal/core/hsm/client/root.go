package client

import (
	"context"
	"fmt"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// root is a keyring.Root whose key is a domain key of an HSM cluster.
type root struct {
	name    string
	cluster *Cluster
}

// NewRoot is a root of trust in an HSM cluster. The keyring's domain keys are wrapped by the cluster's own.
func NewRoot(name string, cluster *Cluster) keyring.Root { return root{name, cluster} }

func (r root) Name() string { return r.name }

// Protected is keyring.Protector's.
func (r root) Protected() (bool, string) {
	return true, fmt.Sprintf("The root key is in the HSM cluster %s and does not leave its nodes in the clear.", r.cluster.name)
}

func (r root) Wrap(ctx context.Context, key secretbytes.Bytes, aad keyring.Context) ([]byte, error) {
	return r.cluster.Wrap(ctx, key, aad.Encode())
}

func (r root) Unwrap(ctx context.Context, wrapped []byte, aad keyring.Context) (secretbytes.Bytes, error) {
	return r.cluster.Unwrap(ctx, wrapped, aad.Encode())
}
