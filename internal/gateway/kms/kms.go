// Package kms is the operations of AWS KMS: thin, over the use cases that controllers call too.
//
// A key is asked about by its own policy and by the caller's, and a denial has one text whether or not there is such a key.
// Plaintext: what a caller sends is in the input's []byte, and what it gets is in the output's, which is the service's secret
// itself and not a copy. The server wipes both when the answer is encoded.
// https://docs.aws.amazon.com/kms/latest/APIReference/Welcome.html
package kms

import (
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/service/kms"
)

// Dependencies are what the operations stand on.
type Dependencies struct {
	// KMS is the use cases.
	KMS *kms.Service
	// KeyStores is the use cases of custom key stores.
	KeyStores *cloudhsm.Service
	// Authorities tells whose keys are certificate authorities'. Those sign by way of ACM PCA alone.
	Authorities *acmpca.Service
}

// operations is the receiver of handlers.
type operations struct {
	*kms.Service
	stores      *cloudhsm.Service
	authorities *acmpca.Service
}

// New is AWS KMS as far as it is served.
func New(d Dependencies) gateway.Service {
	o := &operations{d.KMS, d.KeyStores, d.Authorities}
	return gateway.Service{Name: "kms", Operations: concat(
		o.cryptographic(), o.pairs(), o.signatures(), o.macs(), o.keys(), o.replicas(), o.deletions(), o.aliases(), o.policies(), o.grants(), o.rotations(), o.imports(), o.tags(), o.usage(), o.keyStores(),
	)}
}

func concat(groups ...[]gateway.Operation) (all []gateway.Operation) {
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}
