package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/keymutex"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/sealed"
)

// FieldOwner is the field manager of what requests make.
const FieldOwner = "strongroom-gateway"

// maximumTries is how often a write is tried that others' writes come before.
const maximumTries = 16

// turns lets this process's writers of one secret go one after another: without it each would lose to all that come before it, and of
// more than maximumTries some would give up. Between replicas the resource version decides.
var turns = keymutex.NewHashed(256)

// turn waits until it is this writer's, and returns what ends it.
func turn(secret *v1alpha1.Secret) (end func()) {
	id := secret.Namespace + "/" + secret.Name
	turns.LockKey(id)
	return func() { _ = turns.UnlockKey(id) }
}

// errContended says that others' writes came first each time.
var errContended = errors.New("the secret is being changed by others all the time; try again")

// Value is the value of a secret.
type Value struct {
	// Bytes in the clear.
	Bytes secretbytes.Bytes
	// Binary tells that it is bytes (SecretBinary) and not text (SecretString).
	Binary bool
}

// PutValueInput is a version that a request puts.
type PutValueInput struct {
	// Secret as it was found. It is not changed.
	Secret *v1alpha1.Secret
	// Key encrypts it.
	Key *v1alpha1.KMSKey
	// Token is the ClientRequestToken, and the version's id.
	Token string
	// Value is the caller's to wipe.
	Value Value
	// Stages are AWSCURRENT if empty. A secret's first version has AWSCURRENT besides, unless a rotation brings it in.
	Stages []string
}

// PutValue makes a version of a secret: its Envelope first, and then one write of status, which commits. A token that has made
// a version already is ResourceExistsException, unless the value is the same one.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
//
// A crash between the two writes leaves an Envelope that is next in sequence. Whoever writes next, be it this request made
// again, another or the controller, commits it before anything of its own, so no version that a projection shows is lost,
// and the request made again finds its version and succeeds.
func (s *Service) PutValue(ctx context.Context, in PutValueInput) (versions.Version, error) {
	if err := checkSource(in.Secret); err != nil {
		return versions.Version{}, err
	}
	defer turn(in.Secret)()
	secret := in.Secret.DeepCopy()
	for range maximumTries {
		version, ix, err := s.place(ctx, secret, &in)
		if err != nil {
			return version, err
		}
		err = s.commit(ctx, secret, ix)
		if !apierrors.IsConflict(err) {
			return version, err
		}
		if secret, err = s.latest(ctx, secret); err != nil {
			return version, err
		}
	}
	return versions.Version{}, errContended
}

// checkSource refuses what a followed source would overwrite at once.
func checkSource(secret *v1alpha1.Secret) error {
	if from := secret.Spec.ValueFrom; from != nil && from.Policy == v1alpha1.ImportFollow {
		return invalidRequest("You can't put a value into this secret because its value follows another one (spec.valueFrom of the " +
			"Secret, with policy Follow), which would overwrite it. Change that one, or take valueFrom out of the Secret.")
	}
	return nil
}

// place finds the version that the token has made, or makes it behind all that are there or in flight. The index that it
// returns has it.
func (s *Service) place(ctx context.Context, secret *v1alpha1.Secret, in *PutValueInput) (versions.Version, versions.Index, error) {
	subject := s.ARNOf(secret)
	ix, err := s.Versions().Resume(ctx, s.SubjectOf(secret), IndexOf(secret))
	if err != nil {
		return versions.Version{}, ix, err
	}
	for range maximumTries {
		if known, ok := ix.ByID(in.Token); ok {
			return known, ix, s.sameValue(ctx, subject, known, in)
		}
		stages, err := s.stagesFor(ix, in.Stages, Begun(secret, ix) == in.Token)
		if err != nil {
			return versions.Version{}, ix, err
		}
		// Crash-safe: the Envelope's name has the sequence, so one writer alone makes it. Who finds another's, in flight or
		// committed since this index was read, takes it into the index and goes behind it.
		version, made, err := s.Put(ctx, s.SubjectOf(secret), sealed.Content{
			ID: in.Token, Sequence: ix.Last() + 1,
			Stages: stages, Key: in.Key, Value: in.Value.Bytes, Binary: in.Value.Binary,
		})
		if err != nil {
			return versions.Version{}, ix, err
		}
		before := len(ix)
		if ix = ix.Add(version); len(ix) == before {
			return versions.Version{}, ix, errContended
		}
		if made {
			added, _ := ix.ByID(version.ID)
			return added, ix, nil
		}
	}
	return versions.Version{}, versions.Index{}, errContended
}

// stagesFor are the stages of a new version. A first one has AWSCURRENT, unless a rotation brings it in: that has not proven it yet.
func (s *Service) stagesFor(ix versions.Index, asked []string, rotating bool) ([]string, error) {
	stages := slices.Clone(asked)
	if _, hasCurrent := ix.ByStage(versions.Current); !hasCurrent && !rotating || len(stages) == 0 {
		stages = append(stages, versions.Current)
	}
	slices.Sort(stages)
	stages = slices.Compact(stages)
	if len(stages) > versions.MaximumStages {
		return nil, limitExceeded("A version of a secret can have at most 20 staging labels.")
	}
	return stages, nil
}

// sameValue is nil if a version has the value that a request brings.
func (s *Service) sameValue(ctx context.Context, subject string, v versions.Version, in *PutValueInput) error {
	of := sealed.Subject{Namespace: in.Secret.Namespace, Name: in.Secret.Name, ARN: subject}
	found, err := s.Versions().Fetch(ctx, of, v)
	if err != nil {
		return err
	}
	stored, err := s.Versions().Open(ctx, found)
	if err != nil {
		return err
	}
	defer stored.Wipe()
	if found.Envelope.Spec.Binary != in.Value.Binary || !stored.Equal(in.Value.Bytes) {
		return tokenInUse(in.Token, subject)
	}
	return nil
}

// commit writes an index into status, unless it is there. The write carries the resource version that was read, so of two
// writers one commits, and the other gets a conflict and starts over. What a crash leaves after it are Envelopes that no index
// names, which are swept.
func (s *Service) commit(ctx context.Context, secret *v1alpha1.Secret, ix versions.Index) error {
	subject := s.ARNOf(secret)
	if secret.Status.ARN == subject && sameIndex(IndexOf(secret), ix) {
		return nil
	}
	before := secret.Status.CurrentVersionID
	prune := s.Versions().LetGo(ctx, s.SubjectOf(secret), Record(&secret.Status, subject, ix, s.Now()))
	announce(secret, before)
	if err := s.writeStatus(ctx, secret); err != nil {
		return err
	}
	return prune(ctx)
}

func sameIndex(a, b versions.Index) bool {
	return slices.EqualFunc(a, b, func(x, y versions.Version) bool {
		return x.ID == y.ID && x.Sequence == y.Sequence && slices.Equal(x.Stages, y.Stages)
	})
}

// announce keeps the conditions right at every moment: another value is not in force until the target shows it, which the
// controller does. Without a target it is in force with this write.
func announce(secret *v1alpha1.Secret, before string) {
	status := &secret.Status
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	if secret.Spec.Suspend || status.CurrentVersionID == before {
		return
	}
	switch {
	case secret.Spec.Target != nil:
		conditions.Summarise(&status.Conditions, secret.Generation, fault.Waiting(v1alpha1.ReasonProgressing, errNotShown), "", "")
	case ready == nil || ready.Reason == v1alpha1.ReasonNoValue || ready.Reason == v1alpha1.ReasonPending && byAPI(secret):
		conditions.Summarise(&status.Conditions, secret.Generation, nil, v1alpha1.ReasonSucceeded, MessageInForce)
		status.ObservedGeneration = secret.Generation
	}
}

// MessageInForce is the message of a Secret that is Ready.
const MessageInForce = "The secret is in force"

var errNotShown = errors.New("a new version was put; the target does not show it yet")

// byAPI tells that the value is the API's to give, and that nothing of spec is left to the controller.
func byAPI(secret *v1alpha1.Secret) bool {
	return secret.Spec.Generate == nil && secret.Spec.ValueFrom == nil && secret.Spec.Sealed == "" && secret.Spec.Target == nil
}

func (s *Service) writeStatus(ctx context.Context, secret *v1alpha1.Secret) error {
	err := s.Client.Status().Update(ctx, secret, client.FieldOwner(FieldOwner))
	switch {
	case apierrors.IsNotFound(err): // it was deleted since it was read
		return NotFound()
	case err != nil:
		return fmt.Errorf("writing status of Secret %s: %w", secret.Name, err)
	}
	return nil
}

// latest reads a Secret as it is, for a write. One that is another object by now, or being deleted, is NotFound.
func (s *Service) latest(ctx context.Context, secret *v1alpha1.Secret) (*v1alpha1.Secret, error) {
	live := &v1alpha1.Secret{}
	err := s.Store.Live.Get(ctx, client.ObjectKeyFromObject(secret), live)
	switch {
	case apierrors.IsNotFound(err) || err == nil && (live.UID != secret.UID || !live.DeletionTimestamp.IsZero()):
		return nil, NotFound()
	case err != nil:
		return nil, fmt.Errorf("reading Secret %s: %w", secret.Name, err)
	}
	return live, nil
}
