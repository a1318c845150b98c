package environment

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/store"
)

// ParametersOver makes the service of parameters with writes that go through a FaultyClient.
func (r *Reconcilers) ParametersOver(faulty *FaultyClient) *parameterstore.Service {
	s, kms := *r.Services.Parameters, *r.Services.KMS
	s.Client, s.Store = faulty, &store.Store{Client: faulty, Live: r.Services.Live}
	kms.Client, kms.Reader, kms.Store = faulty, faulty, s.Store
	s.KMS = &kms
	return &s
}

// Sweep makes one pass of the controller of Envelopes over those of an object in the spec's namespace.
func (w *World) Sweep(kind, name string) {
	GinkgoHelper()
	_, err := w.Envelope.Reconcile(w.ctx, envelope.Owner{Kind: kind, Namespace: w.Namespace, Name: name})
	Expect(err).NotTo(HaveOccurred())
}
