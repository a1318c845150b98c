package secretsmanager

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/principals"
	"strongroom.dev/strongroom/internal/service/sealed"
)

// ReplicaIndex is the cache index of Secrets that are replicas, by the name of their primary's object.
const ReplicaIndex = "replica-of"

// IsReplica tells that a Secret is a replica: its versions and metadata are its primary's.
func IsReplica(secret *v1alpha1.Secret) bool { return secret.Spec.ReplicaOf != nil }

// PrimaryName is the name of the Secret that a replica is of, empty for any other.
func PrimaryName(secret *v1alpha1.Secret) string {
	if secret.Spec.ReplicaOf == nil {
		return ""
	}
	return secret.Spec.ReplicaOf.Name
}

// PrimaryRegion is the region in which a secret is written: a replica's is its primary's, any other's its own.
func (s *Service) PrimaryRegion(secret *v1alpha1.Secret) string {
	if secret.Spec.ReplicaOf != nil {
		return secret.Spec.ReplicaOf.Region
	}
	return s.RegionOf(secret)
}

// Serves tells whether secrets can be replicated to a region.
func (s *Service) Serves(region string) bool { return slices.Contains(s.Regions, region) }

// ReplicaARN is the ARN that a secret's replica in a region has: the secret's own but for the region. It is empty if the secret has none yet.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/replicate-secrets.html
func ReplicaARN(primaryARN, name, region string) string {
	suffix := strings.TrimPrefix(arn.Resource(primaryARN), "secret:"+name+"-")
	if primaryARN == "" || !arn.IsSecret(primaryARN, arn.Region(primaryARN), arn.Account(primaryARN), name) {
		return ""
	}
	return arn.Secret(region, arn.Account(primaryARN), name, suffix)
}

// IsReplicaOf tells whether a Secret says that it is a replica of another, and can be: it has the same AWS name, and the ARN that such a
// replica has, if it has one.
func (s *Service) IsReplicaOf(replica, primary *v1alpha1.Secret) bool {
	of := replica.Spec.ReplicaOf
	if of == nil || of.Name != primary.Name || of.Region != s.RegionOf(primary) || replica.AWSName() != primary.AWSName() || IsReplica(primary) {
		return false
	}
	has := s.ARNOf(replica)
	return has == "" || has == ReplicaARN(s.ARNOf(primary), primary.AWSName(), s.RegionOf(replica))
}

// ListedRegion is what a primary's spec says of a region, nil if it does not list it.
func ListedRegion(primary *v1alpha1.Secret, region string) *v1alpha1.ReplicaRegion {
	i := slices.IndexFunc(primary.Spec.ReplicaRegions, func(r v1alpha1.ReplicaRegion) bool { return r.Region == region })
	if i < 0 {
		return nil
	}
	return &primary.Spec.ReplicaRegions[i]
}

// Shape gives a replica what it has of its primary besides versions: description, tags, resource policy, recovery window, the key that the region
// is listed with, and the primary as owner, so that it goes with it. All else, a target for example, is its own.
func Shape(replica, primary *v1alpha1.Secret, as *v1alpha1.ReplicaRegion) {
	spec, of := &replica.Spec, primary.Spec.DeepCopy()
	spec.Description, spec.Tags, spec.ResourcePolicy, spec.Deletion = of.Description, of.Tags, of.ResourcePolicy, of.Deletion
	spec.KMSKeyRef = as.KMSKeyRef.DeepCopy()
	owner := metav1.OwnerReference{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: ownerKind, Name: primary.Name, UID: primary.UID}
	if !slices.Contains(replica.OwnerReferences, owner) {
		Detach(replica)
		replica.OwnerReferences = append(replica.OwnerReferences, owner)
	}
	if IsForced(primary) { // it goes without a recovery window, and so do its replicas
		force(replica)
	} else {
		delete(replica.Annotations, v1alpha1.ForceDeleteAnnotation) // of a removal that was not carried out, and is not wanted any more
	}
}

// ownsAsSecret tells of an owner that it is a Secret of Strongroom, which is a primary: core Secrets have the same kind, and are of another group.
func ownsAsSecret(o metav1.OwnerReference) bool {
	return o.Kind == ownerKind && o.APIVersion == v1alpha1.SchemeGroupVersion.String()
}

// primaryOf tells of an owner of a Secret whether it is the primary that the Secret names as a replica, whichever object of that name. Whoever asks who else owns a replica asks by this. Nobody
// makes a replica of a Secret that is there.
func primaryOf(secret *v1alpha1.Secret) func(metav1.OwnerReference) bool {
	return func(o metav1.OwnerReference) bool {
		return IsReplica(secret) && ownsAsSecret(o) && o.Name == PrimaryName(secret)
	}
}

// Detach takes the primary from a Secret's owners, and tells whether it was one.
func Detach(secret *v1alpha1.Secret) bool {
	before := len(secret.OwnerReferences)
	secret.OwnerReferences = slices.DeleteFunc(slices.Clone(secret.OwnerReferences), ownsAsSecret)
	return len(secret.OwnerReferences) < before
}

// OwnedBy tells whether a Secret was taken up as a replica of another: that one, and not one that had its name before, is its owner as its primary.
func OwnedBy(replica, primary *v1alpha1.Secret) bool {
	isPrimary := primaryOf(replica)
	return slices.ContainsFunc(replica.OwnerReferences, func(o metav1.OwnerReference) bool { return isPrimary(o) && o.UID == primary.UID })
}

// BindAs gives a replica the binding of its primary's resource policy: whoever is made again under the name of one that the primary trusted is not
// trusted by a younger replica either. As long as the two have other policies, or the primary's is not bound, nothing changes.
func BindAs(replica, primary *v1alpha1.Secret) {
	policy := replica.Spec.ResourcePolicy
	if policy == nil {
		replica.Status.PolicyBinding = nil
		return
	}
	kept := principals.Unowned(primary, primary.Spec.ResourcePolicy, primary.Status.PolicyBinding)
	if kept == nil || !bytes.Equal(policy.Raw, primary.Spec.ResourcePolicy.Raw) {
		return
	}
	replica.Status.PolicyBinding = &v1alpha1.PolicyBinding{PolicyDigest: principals.Digest(replica, policy.Raw), Principals: kept.Principals}
}

// ReplicationFailed is the message of what fails, as AWS begins it.
func ReplicationFailed(why string) string { return "Replication failed: " + why }

// StateOf is how far a replica is, by what both objects say and by what the primary's status has noted of the region, nil for nothing. replica is
// nil if there is none of this primary.
func StateOf(primary, replica *v1alpha1.Secret, noted *v1alpha1.ReplicationStatus) (state v1alpha1.ReplicationState, message string) {
	switch {
	case replica == nil && noted != nil && noted.State == v1alpha1.ReplicationFailed:
		return noted.State, noted.Message
	case replica == nil:
		return v1alpha1.ReplicationInProgress, ""
	case replica.Status.ARN != "" && IndexOf(replica).Mirrors(Replicated(primary)):
		return v1alpha1.ReplicationInSync, ""
	}
	ready := meta.FindStatusCondition(replica.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionFalse || ready.ObservedGeneration != replica.Generation || passing[ready.Reason] {
		return v1alpha1.ReplicationInProgress, ""
	}
	return v1alpha1.ReplicationFailed, ReplicationFailed(ready.Message)
}

// passing are the reasons for which a replica is not Ready that say nothing against it.
var passing = map[string]bool{
	v1alpha1.ReasonPending: true, v1alpha1.ReasonProgressing: true, v1alpha1.ReasonNoValue: true, v1alpha1.ReasonNotReplicated: true,
	v1alpha1.ReasonPrimaryNotFound: true,
}

// Noted is what a primary's status says of a region, nil for nothing.
func Noted(primary *v1alpha1.Secret, region string) *v1alpha1.ReplicationStatus {
	i := slices.IndexFunc(primary.Status.Replication, func(r v1alpha1.ReplicationStatus) bool { return r.Region == region })
	if i < 0 {
		return nil
	}
	return &primary.Status.Replication[i]
}

// Following is a replica and what it follows.
type Following struct {
	// Replica and Primary are read only. Of is whose versions the replica's are.
	Replica, Primary *v1alpha1.Secret
	Of               sealed.Subject
}

// Replicated is the index of a primary as its replicas have it: without AWSPENDING on a version that a rotation is bringing in, or that is there for
// a test. So a replica has a rotation when it has succeeded, by one write of status, and of one that fails nothing. A version that somebody
// put under AWSPENDING is replicated.
func Replicated(primary *v1alpha1.Secret) versions.Index {
	ix := IndexOf(primary)
	pending, has := ix.ByStage(versions.Pending)
	rotated := primary.Status.Rotation != nil && primary.Status.Rotation.VersionID == pending.ID
	if !has || pending.Has(versions.Current) || !rotated && pending.ID != TestVersion(primary) {
		return ix
	}
	without, err := ix.Move(versions.Pending, pending.ID, "")
	if err != nil { // it holds the label
		return ix
	}
	return without
}

// Follow stores the versions of a primary that its replica lacks, under the replica's own key, and gives all of them the stages that they have at the
// primary. The index that it returns is to be committed, whatever the error: it has what was stored. Errors are faults.
//
// Crash-safe: the Envelopes first, each next in sequence, the index by the caller second. What a crash leaves between the two is taken into the index
// by Resume with the stages that it had at the primary when it was stored, so that AWSCURRENT is never on a version that did not have it there.
func (s *Service) Follow(ctx context.Context, f Following, ix versions.Index) (versions.Index, error) {
	source := Replicated(f.Primary)
	lacking := ix.Lacking(source)
	if len(lacking) == 0 {
		return ix.Mirror(source), nil
	}
	key, err := s.Key(ctx, f.Replica)
	if err != nil {
		return ix, err
	}
	for len(lacking) > 0 {
		added, err := s.copyVersion(ctx, f, lacking[0], key, ix)
		if err != nil {
			return ix, err
		}
		if len(added) == len(ix) {
			return ix, errContended
		}
		ix, lacking = added, added.Lacking(source)
	}
	return ix.Mirror(source), nil
}

// copyVersion stores one version of a primary as the replica's next, and returns the replica's index with it.
func (s *Service) copyVersion(ctx context.Context, f Following, v versions.Version, key *v1alpha1.KMSKey, ix versions.Index) (versions.Index, error) {
	found, err := s.Versions().Fetch(ctx, s.SubjectOf(f.Primary), v)
	if err != nil {
		return ix, fmt.Errorf("reading the primary: %w", err)
	}
	value, err := s.Versions().Open(ctx, found)
	if err != nil {
		return ix, fmt.Errorf("reading the primary: %w", err)
	}
	defer value.Wipe()
	stored, _, err := s.Put(ctx, f.Of, sealed.Content{
		ID: v.ID, Sequence: ix.Last() + 1, Stages: v.Stages, Key: key, Value: value, Binary: found.Envelope.Spec.Binary,
	})
	if err != nil {
		return ix, err
	}
	return ix.Add(stored), nil
}
