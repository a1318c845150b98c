package secretsmanager_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// history records what clients do to one secret at once, and what they are told.
type history struct {
	secret *v1alpha1.Secret
	began  time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
	tokens     map[string]bool
}

// record carries out an operation. The output is nil if it succeeded, and the error's text if it was refused. Of one that is several writes the others are what more says, at the same time.
func (h *history) record(who int, input any, do func() any, more ...func(output any) any) {
	call := time.Since(h.began)
	output := do()
	if err, refused := output.(error); refused {
		output = err.Error()
	}
	returned := time.Since(h.began)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{
		ClientId: who, Input: input, Output: output, Call: call.Nanoseconds(), Return: returned.Nanoseconds(),
	})
	for _, other := range more {
		h.operations = append(h.operations, porcupine.Operation{ClientId: who, Input: other(output), Call: call.Nanoseconds(), Return: returned.Nanoseconds()})
	}
}

// told is an output: nil has no type, as the model asks.
func told(err error) any {
	if err == nil {
		return nil
	}
	return err
}

// live reads the secret from the API server.
func (h *history) live() *v1alpha1.Secret {
	GinkgoHelper()
	s := &v1alpha1.Secret{}
	Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(h.secret), s)).To(Succeed())
	return s
}

// observe is kubectl get.
func (h *history) observe(who int) (seen observed) {
	GinkgoHelper()
	h.record(who, observed{}, func() any {
		s := h.live()
		stored := map[string]bool{}
		as := state{}
		for _, v := range s.Status.Versions {
			stored[v.VersionID] = true
			for _, stage := range v.Stages {
				Expect(*as.label(stage)).To(BeEmpty(), "%s is on two versions", stage)
				*as.label(stage) = v.VersionID
			}
		}
		if r := s.Status.Rotation; r != nil && !stored[r.VersionID] {
			as.begun = r.VersionID
		}
		seen = observed{as.current, as.previous, as.pending, as.own, as.begun, !s.Spec.Rotation.IsEnabled()}
		return seen
	})
	return seen
}

// id is a fresh token, which the model knows.
func (h *history) id() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := uuid.NewString()
	h.tokens[id] = true
	return id
}

// act does something that is picked at random.
func (h *history) act(who int, random *rand.Rand) {
	GinkgoHelper()
	arn := &h.secret.Status.ARN
	switch random.IntN(9) {
	case 0, 1:
		in := putInput{h.id(), []string{"AWSCURRENT", "AWSPENDING"}[random.IntN(2)]}
		h.record(who, in, func() any {
			_, err := do[sdk.PutSecretValueOutput](administrator, "PutSecretValue", &sdk.PutSecretValueInput{
				SecretId: arn, ClientRequestToken: &in.id, SecretString: ptr.To("put"), VersionStages: []string{in.stage},
			})
			return told(err)
		})
	case 2, 3:
		seen := h.observe(who)
		in := []moveInput{
			{ownLabel, seen.own, seen.current}, {"AWSCURRENT", seen.current, seen.own}, {"AWSCURRENT", seen.current, seen.previous},
			{"AWSPENDING", seen.pending, ""}, {"AWSPENDING", seen.begun, ""},
		}[random.IntN(5)]
		if in.from == "" || in.from == in.to || in.to == "" && in.stage != "AWSPENDING" {
			return
		}
		h.record(who, in, func() any {
			return told(moveStage(*arn, in.stage, &in.from, map[bool]*string{false: &in.to}[in.to == ""]))
		})
	case 4:
		in := rotateInput{h.id()}
		h.record(who, in, func() any {
			_, err := rotates(*arn, as(in.id))
			return told(err)
		}, func(output any) any { return onInput{sure: output == nil} })
	case 5: // kubectl annotate
		h.record(who, annotateInput{}, func() any {
			patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RotateAnnotation, uuid.NewString())
			return told(world.ControlPlane.Client.Patch(ctx, h.secret.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch))))
		})
	case 6:
		world.Clock.Advance(time.Duration(random.IntN(72)-24) * time.Hour)
	case 7:
		h.pass(who)
	case 8:
		h.record(who, offInput{}, func() any {
			_, err := do[sdk.CancelRotateSecretOutput](administrator, "CancelRotateSecret", &sdk.CancelRotateSecretInput{SecretId: arn})
			return told(err)
		}, func(any) any { return giveUpInput{} })
	}
	h.observe(who)
}

// pass is one of a controller's.
func (h *history) pass(who int) {
	h.record(who, passInput{}, func() any {
		_, err := world.Secret.Reconcile(ctx, environment.Request(h.secret))
		return told(err)
	})
}

// chosen are the ids of versions that nobody gave a token for, in their order: the controller chose them.
func (h *history) chosen(first string) (ids []string) {
	GinkgoHelper()
	sequence := int64(0)
	for _, v := range h.live().Status.Versions {
		Expect(v.Sequence).To(BeNumerically(">", sequence))
		if sequence = v.Sequence; !h.tokens[v.VersionID] && v.VersionID != first {
			ids = append(ids, v.VersionID)
		}
	}
	return ids
}

// run has clients and two controllers, as of two replicas while leadership moves, do things at once.
func (h *history) run(seed uint64) {
	GinkgoHelper()
	const clients, controllers, each = 4, 2, 8
	var acting sync.WaitGroup
	for n := range controllers {
		acting.Go(func() {
			defer GinkgoRecover()
			for range 2 * each {
				h.pass(clients + n)
			}
		})
	}
	for n := range clients {
		acting.Go(func() {
			defer GinkgoRecover()
			random := rand.New(rand.NewPCG(seed, uint64(n)))
			for range each {
				h.act(n, random)
			}
		})
	}
	acting.Wait()
}

var _ = Describe("Requests, kubectl, passes and jumps of the clock at once", func() {
	for seed := range uint64(4) {
		It(fmt.Sprintf("do what they would do one after the other (%d)", seed), func() {
			s := generated("db", func(s *v1alpha1.Secret) { s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(1 day)"} })
			first := s.Status.CurrentVersionID
			Expect(moveStage(s.Status.ARN, ownLabel, nil, &first)).To(Succeed())
			world.Refresh(s)
			world.Seen(s)
			h := &history{secret: s, began: time.Now(), tokens: map[string]bool{}}
			h.run(seed)
			result := porcupine.CheckOperationsTimeout(sequential(first, h.chosen(first)), h.operations, time.Minute)
			if result != porcupine.Ok {
				for _, o := range h.operations {
					GinkgoWriter.Printf("%d: %d-%d %T%v -> %v\n", o.ClientId, o.Call/1e3, o.Return/1e3, o.Input, o.Input, o.Output)
				}
			}
			Expect(result).To(Equal(porcupine.Ok))
			succeeded := slices.DeleteFunc(slices.Clone(h.operations), func(o porcupine.Operation) bool { return o.Output != nil })
			Expect(len(succeeded)).To(BeNumerically(">", 10), "all is refused")

			world.Refresh(s)
			world.Seen(s)
			if !s.Spec.Rotation.IsEnabled() {
				reconcile(s)
				Expect(s.Status.Rotation).To(BeNil(), "a rotation that is off goes on")
				_, err := rotates(s.Status.ARN, as(h.id()))
				Expect(err == nil || s.Status.Rotation == nil).To(BeTrue(), "%v", err) // refused while another version is pending, it is on all the same
				world.Refresh(s)
				world.Seen(s)
				Expect(s.Spec.Rotation.IsEnabled()).To(BeTrue())
			}
			for range 3 {
				reconcile(s)
			}
			Expect(s.Status.Rotation).To(BeNil(), "a rotation that was begun is forgotten")
			Expect(s.Status.LastHandledRotateAt).To(Equal(s.Annotations[v1alpha1.RotateAnnotation]), "what kubectl asked for is forgotten")
			Expect(s.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue))))
		})
	}
})
