package kms_test

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// deaf is an API server that does not answer.
type deaf struct{ client.Reader }

var errDeaf = errors.New("connection refused")

func (deaf) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errDeaf
}
func (deaf) List(context.Context, client.ObjectList, ...client.ListOption) error { return errDeaf }

var _ = Describe("Finding a KMSKey", func() {
	It("by name and by ARN finds the same, in its own namespace only", func() {
		key := world.ReadyKey("key")
		world.ReadyKey("other")
		s := service()
		byName, err := s.ByName(ctx, world.Namespace, "key")
		Expect(err).NotTo(HaveOccurred())
		Expect(byName.UID).To(Equal(key.UID))
		byARN, err := s.ByARN(ctx, world.Namespace, key.Status.ARN)
		Expect(err).NotTo(HaveOccurred())
		Expect(byARN.UID).To(Equal(key.UID))

		elsewhere := world.NewNamespace()
		_, err = s.ByName(ctx, elsewhere, "key")
		faultOf(err, v1alpha1.ReasonKeyNotFound, true)
		_, err = s.ByARN(ctx, elsewhere, key.Status.ARN)
		faultOf(err, v1alpha1.ReasonKeyNotFound, true)
	})

	It("that does not exist says which, and what to do about it", func() {
		_, err := service().ByName(ctx, world.Namespace, "none")
		faultOf(err, v1alpha1.ReasonKeyNotFound, true)
		Expect(err).To(MatchError(And(ContainSubstring(world.Namespace+"/none"),
			ContainSubstring("create it, or name another in kmsKeyRef"))))
		_, err = service().ByARN(ctx, world.Namespace, keyARN(keyID))
		faultOf(err, v1alpha1.ReasonKeyNotFound, true)
		Expect(err).To(MatchError(And(ContainSubstring(keyARN(keyID)),
			ContainSubstring("apply the deleted KMSKey again"), ContainSubstring("backup"))))
	})

	It("by no ARN does not find one that has none yet", func() {
		world.Create(environment.KMSKey(world.Namespace, "fresh"))
		_, err := service().ByARN(ctx, world.Namespace, "")
		faultOf(err, v1alpha1.ReasonKeyNotFound, true)
	})

	It("does not take an API server that fails for a key that is missing", func() {
		s := service(func(s *kms.Service) { s.Reader = deaf{} })
		_, byName := s.ByName(ctx, world.Namespace, "key")
		Expect(byName).To(MatchError(And(ContainSubstring("reading KMSKey key"), ContainSubstring("refused"))))
		_, byARN := s.ByARN(ctx, world.Namespace, keyARN(keyID))
		Expect(byARN).To(MatchError(ContainSubstring("looking for the KMSKey " + keyARN(keyID))))
		for _, err := range []error{byName, byARN} {
			Expect(err).To(MatchError(errDeaf))
			Expect(fault.Of(err).Reason).To(Equal(v1alpha1.ReasonProgressing), "it is tried again with back-off")
		}
	})
})

func TestOnlyAKeyWithAnARNIsIndexedByIt(t *testing.T) {
	for name, tt := range map[string]struct {
		object client.Object
		want   int
	}{
		"a key":              {&v1alpha1.KMSKey{Status: v1alpha1.KMSKeyStatus{ARN: "arn"}}, 1},
		"a key without one":  {&v1alpha1.KMSKey{}, 0},
		"an object of other": {&v1alpha1.Secret{Status: v1alpha1.SecretStatus{ARN: "arn"}}, 0},
	} {
		if got := kms.IndexARN(tt.object); len(got) != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheCurrentMaterialIsTheOneThatSaysSo(t *testing.T) {
	of := func(states ...v1alpha1.KeyMaterialState) *v1alpha1.KMSKey {
		key := &v1alpha1.KMSKey{}
		for i, state := range states {
			key.Status.KeyMaterials = append(key.Status.KeyMaterials, v1alpha1.KeyMaterial{Sequence: int64(i + 1), State: state})
		}
		return key
	}
	const current, former = v1alpha1.KeyMaterialCurrent, v1alpha1.KeyMaterialNonCurrent
	for name, tt := range map[string]struct {
		key  *v1alpha1.KMSKey
		want int64 // 0 for none
	}{
		"none":        {of(), 0},
		"the first":   {of(current), 1},
		"the last":    {of(former, former, current), 3},
		"one between": {of(former, current, former), 2},
		"all former":  {of(former, former), 0},
		"no state":    {of(""), 0},
	} {
		m, ok := kms.CurrentMaterial(tt.key)
		if m.Sequence != tt.want || ok != (tt.want != 0) {
			t.Errorf("%s: %d, %t", name, m.Sequence, ok)
		}
	}
}
