package secretsmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/adoption"
	"strongroom.dev/strongroom/internal/service/objectname"
	"strongroom.dev/strongroom/internal/store"
)

// MaximumReplicas is the number of regions that a secret can be replicated to, as the schema has it.
const MaximumReplicas = 32

// NewReplica is the Secret that is to be made for a region of a primary, whose ARN is given.
func (s *Service) NewReplica(primary *v1alpha1.Secret, primaryARN string, as *v1alpha1.ReplicaRegion) *v1alpha1.Secret {
	replica := &v1alpha1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: primary.Namespace, Annotations: map[string]string{
			v1alpha1.SubjectAnnotation: ReplicaARN(primaryARN, primary.AWSName(), as.Region),
		}},
		Spec: v1alpha1.SecretSpec{
			Name: primary.AWSName(), ReplicaOf: &v1alpha1.PrimarySecret{Name: primary.Name, Region: s.RegionOf(primary)},
		},
	}
	if as.Region != s.Region {
		replica.Spec.Region = as.Region
	}
	Shape(replica, primary, as)
	return replica
}

var errBuried = errors.New("a secret with this name is scheduled for deletion there, which was a replica of this one once and is a secret of its own: " +
	"restore it, or wait until its recovery window ends")

// CheckNotBuried fails if a secret that was promoted, and so has a replica's ARN, waits in its recovery window: a new replica of that ARN would take its
// versions over, and nobody could have them back.
func (s *Service) CheckNotBuried(ctx context.Context, primary *v1alpha1.Secret, region string) error {
	id := &ID{Name: primary.AWSName(), ARN: ReplicaARN(primary.Status.ARN, primary.AWSName(), region)}
	tombstone, err := s.tombstone(ctx, primary.Namespace, region, arn.Account(primary.Status.ARN), id)
	if err != nil || tombstone == nil {
		return err
	}
	t, err := store.OpenTombstone(s.KMS.Keyring, tombstone)
	if err != nil {
		return err
	}
	buried := &v1alpha1.Secret{}
	if json.Unmarshal(t.Spec, &buried.Spec) != nil || string(t.Spec) == "null" {
		return nil // nobody saw it go: what is known is a replica's ARN
	}
	if PrimaryName(buried) == primary.Name {
		return nil // a replica of this one, which comes back as what it was
	}
	return errBuried
}

// CheckReplica fails with adoption.ErrForeign if a Secret that says it is a replica of a primary, and was not taken up yet, is one that somebody else holds: with an owner beside
// the primary it would go when that one does, with a finalizer stay when the region is taken out, and with the annotation of another ARN be another secret. A Secret that is
// declared as a replica, with a target of its own, is taken up.
func (s *Service) CheckReplica(replica, primary *v1alpha1.Secret, primaryARN string, as *v1alpha1.ReplicaRegion) error {
	if OwnedBy(replica, primary) {
		return nil
	}
	attempt, shaped := s.NewReplica(primary, primaryARN, as), replica.DeepCopy()
	Shape(shaped, primary, as)                                 // which takes away that it is another secret's, and what was said of its deletion
	if replica.Annotations[v1alpha1.SubjectAnnotation] == "" { // it was declared, and is given that ARN
		delete(attempt.Annotations, v1alpha1.SubjectAnnotation)
	}
	if err := adoption.Check(shaped, attempt); err != nil {
		return fmt.Errorf("the replica, Secret %s, cannot be taken up: %w; take that out of it, or delete it, and another one is made", replica.Name, err)
	}
	return nil
}

// CreateReplica makes a replica's object, named like the primary's with the region, or by a derived name if that is another Secret's. One that has the AWS name there and is not as it
// would be made is left to CheckReplica, which the caller asks when its cache has it. Crash-safe: it is one write, and who finds it made goes on with it.
func (s *Service) CreateReplica(ctx context.Context, replica *v1alpha1.Secret, region string) (*v1alpha1.Secret, error) {
	for _, name := range replicaNames(PrimaryName(replica), region, replica.Spec.Name) {
		attempt := replica.DeepCopy()
		attempt.Name = name
		err := s.Client.Create(ctx, attempt, client.FieldOwner(FieldOwner))
		if err == nil {
			return attempt, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("creating the replica %s: %w", name, err)
		}
		existing := &v1alpha1.Secret{}
		if err := s.Store.Live.Get(ctx, client.ObjectKeyFromObject(attempt), existing); err != nil {
			return nil, fmt.Errorf("reading Secret %s: %w", name, err)
		}
		switch {
		case adoption.Check(existing, attempt) == nil && equality.Semantic.DeepEqual(existing.Spec, attempt.Spec):
			return existing, nil // what an earlier pass left
		case existing.AWSName() == attempt.AWSName() && s.RegionOf(existing) == region: // made a moment ago, by whomever
			return nil, fmt.Errorf("creating the replica %s: %w", name, errContended)
		}
	}
	return nil, fmt.Errorf("creating the replica in %s: %w", region, errContended)
}

// replicaNames are the names for a replica's object, of which the first that is free is taken.
func replicaNames(primary, region, name string) []string {
	derived := objectname.Derived("replica", region, name)
	if readable := primary + "-" + region; objectname.IsDNS(readable) {
		return []string{readable, derived}
	}
	return []string{derived}
}

// ReadOption is one of a read from the cache: controllers, whose watches tell them of what they have written, do not wait for it.
type ReadOption interface {
	client.GetOption
	client.ListOption
}

// Named lists the Secrets of a namespace that have an AWS name, in whatever region. They are the cache's own: read them only.
func (s *Service) Named(ctx context.Context, namespace, name string, options ...ReadOption) ([]v1alpha1.Secret, error) {
	var list v1alpha1.SecretList
	get := []client.GetOption{client.UnsafeDisableDeepCopy}
	by := []client.ListOption{client.UnsafeDisableDeepCopy, client.InNamespace(namespace), client.MatchingFields{NameIndex: name}}
	for _, o := range options {
		get, by = append(get, o), append(by, o)
	}
	err := s.Client.List(ctx, &list, by...)
	if err != nil {
		return nil, fmt.Errorf("looking for Secrets by name: %w", err)
	}
	own := &v1alpha1.Secret{} // one whose own name it is has no entry in the index
	switch err := s.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, own, get...); {
	case err == nil && own.AWSName() == name:
		return append(list.Items, *own), nil
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("looking for Secret %s: %w", name, err)
	}
	return list.Items, nil
}

// Replicas lists the Secrets that say they are replicas of one, from the cache. They are the cache's own: read them only.
func (s *Service) Replicas(ctx context.Context, primary *v1alpha1.Secret, options ...ReadOption) ([]v1alpha1.Secret, error) {
	var list v1alpha1.SecretList
	by := []client.ListOption{client.UnsafeDisableDeepCopy, client.InNamespace(primary.Namespace), client.MatchingFields{ReplicaIndex: primary.Name}}
	for _, o := range options {
		by = append(by, o)
	}
	err := s.Client.List(ctx, &list, by...)
	if err != nil {
		return nil, fmt.Errorf("looking for the replicas of Secret %s: %w", primary.Name, err)
	}
	return slices.DeleteFunc(list.Items, func(r v1alpha1.Secret) bool { return !r.DeletionTimestamp.IsZero() || !s.IsReplicaOf(&r, primary) }), nil
}

// AddedRegion is a region that a request replicates a secret to.
type AddedRegion struct {
	Region string
	// Key is the KMSKey of the namespace, nil for the account's own. KeyNamed tells that the request names one.
	Key      *v1alpha1.LocalReference
	KeyNamed bool
}

// Add lists regions in a spec. One that is listed already stays, under the key that the request names, if it names one; asked for again by force it
// may be overwritten.
func Add(spec *v1alpha1.SecretSpec, regions []AddedRegion, force bool) error {
	for _, add := range regions {
		i := slices.IndexFunc(spec.ReplicaRegions, func(r v1alpha1.ReplicaRegion) bool { return r.Region == add.Region })
		if i < 0 {
			i = len(spec.ReplicaRegions)
			spec.ReplicaRegions = append(spec.ReplicaRegions, v1alpha1.ReplicaRegion{Region: add.Region, KMSKeyRef: add.Key})
		}
		to := &spec.ReplicaRegions[i]
		if add.KeyNamed {
			to.KMSKeyRef = add.Key
		}
		to.ForceOverwriteReplicaSecret = to.ForceOverwriteReplicaSecret || force
	}
	if len(spec.ReplicaRegions) > MaximumReplicas {
		return invalidParameter("A secret can be replicated to at most 32 regions.")
	}
	return nil
}

// Replicate lists regions in a secret's spec; its controller makes the replicas. Crash-safe: it is one write, as in Change.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicateSecretToRegions.html
func (s *Service) Replicate(ctx context.Context, secret *v1alpha1.Secret, regions []AddedRegion, force bool) (*v1alpha1.Secret, error) {
	return s.Change(ctx, secret, func(spec *v1alpha1.SecretSpec) error { return Add(spec, regions, force) })
}

// RemoveRegions takes regions out of a secret's spec and deletes the replicas there, without a recovery window: the primary has all that they have.
// Regions that it is not replicated to are no error.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RemoveRegionsFromReplication.html
//
// Crash-safe: the spec is the commit; if this ends before the replicas are gone, the controller deletes them.
func (s *Service) RemoveRegions(ctx context.Context, secret *v1alpha1.Secret, regions []string) (*v1alpha1.Secret, error) {
	secret, err := s.Change(ctx, secret, func(spec *v1alpha1.SecretSpec) error {
		delist(spec, regions)
		return nil
	})
	if err != nil {
		return nil, err
	}
	replicas, err := s.Replicas(ctx, secret)
	if err != nil {
		return nil, err
	}
	for i := range replicas {
		if slices.Contains(regions, s.RegionOf(&replicas[i])) {
			if err := s.DeleteReplica(ctx, &replicas[i]); err != nil {
				return nil, err
			}
		}
	}
	return secret, nil
}

func delist(spec *v1alpha1.SecretSpec, regions []string) {
	spec.ReplicaRegions = slices.DeleteFunc(spec.ReplicaRegions, func(r v1alpha1.ReplicaRegion) bool { return slices.Contains(regions, r.Region) })
	if len(spec.ReplicaRegions) == 0 {
		spec.ReplicaRegions = nil
	}
}

// DeleteReplica deletes a replica with its versions, unless it was promoted meanwhile. Crash-safe as DeleteNow.
func (s *Service) DeleteReplica(ctx context.Context, replica *v1alpha1.Secret) error {
	gone, err := s.remove(ctx, replica, func(live *v1alpha1.Secret) (bool, error) {
		if !IsReplica(live) {
			return false, errPromoted
		}
		return force(live), nil
	})
	switch {
	case isNotFound(err), errors.Is(err, errPromoted):
		return nil
	case err != nil:
		return err
	}
	return s.erase(ctx, gone.Namespace, gone.Name, s.ARNOf(gone))
}

// Promote makes a replica a secret of its own, which keeps its versions, and takes its region out of its primary's spec. Asked for again it finishes
// what a crash has left, and succeeds though nothing is left to do.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_StopReplicationToReplica.html
//
// Crash-safe: the replica first, in one write, which is the commit. A primary that still lists the region finds a secret there that is no replica of
// its any more: its controller neither deletes nor overwrites that one, for it knows it by its ARN.
func (s *Service) Promote(ctx context.Context, secret *v1alpha1.Secret) error {
	siblings, err := s.siblings(ctx, secret)
	if err != nil {
		return err
	}
	if !IsReplica(secret) && (len(siblings) == 0 || len(secret.Spec.ReplicaRegions) > 0) {
		return notReplica()
	}
	live, err := s.changeObject(ctx, secret, func(live *v1alpha1.Secret) error {
		live.Spec.ReplicaOf = nil
		Detach(live)
		delete(live.Annotations, v1alpha1.ForceDeleteAnnotation) // which was said of a replica
		return nil
	})
	if err != nil {
		return err
	}
	for i := range siblings {
		_, err := s.Change(ctx, &siblings[i], func(spec *v1alpha1.SecretSpec) error {
			delist(spec, []string{s.RegionOf(live)})
			return nil
		})
		if err != nil && !isNotFound(err) {
			return err
		}
	}
	return nil
}

// siblings are the secrets of other regions whose ARN differs from one's by the region alone, and that are no replicas: its primary, or what was.
func (s *Service) siblings(ctx context.Context, secret *v1alpha1.Secret) ([]v1alpha1.Secret, error) {
	all, err := s.Named(ctx, secret.Namespace, secret.AWSName())
	return slices.DeleteFunc(all, func(other v1alpha1.Secret) bool {
		same := ReplicaARN(s.ARNOf(&other), other.AWSName(), s.RegionOf(secret)) == s.ARNOf(secret)
		return !same || IsReplica(&other) || s.RegionOf(&other) == s.RegionOf(secret)
	}), err
}

// SetReplicaKey has a replica's versions encrypted under another key from now on: the one thing that is its own. nil is the account's own key.
//
// Crash-safe: the primary's list says which key a replica has, and its controller brings it there if this ends in between.
func (s *Service) SetReplicaKey(ctx context.Context, replica *v1alpha1.Secret, key *v1alpha1.LocalReference) error {
	primary := &v1alpha1.Secret{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: replica.Namespace, Name: PrimaryName(replica)}, primary)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the primary of Secret %s: %w", replica.Name, err)
	}
	if err == nil && s.IsReplicaOf(replica, primary) {
		_, err = s.Change(ctx, primary, func(spec *v1alpha1.SecretSpec) error {
			if listed := ListedRegion(&v1alpha1.Secret{Spec: *spec}, s.RegionOf(replica)); listed != nil {
				listed.KMSKeyRef = key
			}
			return nil
		})
		if err != nil && !isNotFound(err) {
			return err
		}
	}
	_, err = s.Change(ctx, replica, func(spec *v1alpha1.SecretSpec) error {
		spec.KMSKeyRef = key
		return nil
	})
	return err
}
