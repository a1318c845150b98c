package environment

import (
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
