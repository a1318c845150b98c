package kms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/store"
)

// PrimaryUpdate is a change of the primary of multi-Region keys that has begun: what PrimaryUpdateAnnotation says. The former primary has it from the first step to
// the last, so that whoever looks goes on with it; the new one for as long as it is not the primary.
type PrimaryUpdate struct {
	// From and To are the names of the former and of the new primary.
	From string `json:"from"`
	To   string `json:"to"`
	// Rotation and ReplicaRegions are what the new primary has of the former.
	Rotation       *v1alpha1.KeyRotation       `json:"rotation,omitempty"`
	ReplicaRegions []v1alpha1.KeyReplicaRegion `json:"replicaRegions,omitempty"`
}

// maximumUpdateText bounds PrimaryUpdateAnnotation, which anybody may write who may write the key: 32 regions with the longest names fit in.
const maximumUpdateText = 16 << 10

var (
	// ErrPrimaryStays says that a change of the primary was ended, since the new one cannot get all of the key material, or another process has ended it. It is AWS
	// KMS's KMSInvalidStateException.
	ErrPrimaryStays = errors.New("the primary stays the primary")
	// errUnlisted says that the primary does not name the key in its list that was to be the primary.
	errUnlisted = errors.New("the primary does not name the key as its replica")
	// errSuperseded says that a change of the primary is none any more: another process has brought it to an end.
	errSuperseded = errors.New("the change of the primary is over")
)

// UpdateOf is the change of the primary that a key is in. One that cannot be read is none.
func UpdateOf(key *v1alpha1.KMSKey) (u PrimaryUpdate, ok bool) {
	text := key.Annotations[v1alpha1.PrimaryUpdateAnnotation]
	if text == "" || len(text) > maximumUpdateText || !key.Spec.MultiRegion || json.Unmarshal([]byte(text), &u) != nil {
		return PrimaryUpdate{}, false
	}
	return u, u.From != "" && u.To != "" && u.From != u.To && (key.Name == u.From || key.Name == u.To)
}

// Updating tells whether a key is in a change of the primary. Its materials stay as they are until that is over.
func Updating(key *v1alpha1.KMSKey) bool {
	_, ok := UpdateOf(key)
	return ok
}

// updateTo is the change that makes a replica the primary: the former one takes its place among those that are replicas, each by its name, since what a name is if
// it is left out depends on the primary's.
func updateTo(primary, replica *v1alpha1.KMSKey) PrimaryUpdate {
	u := PrimaryUpdate{From: primary.Name, To: replica.Name, Rotation: primary.Spec.Rotation.DeepCopy()}
	there := arn.Region(replica.Status.ARN)
	for _, r := range append(slices.Clone(primary.Spec.ReplicaRegions), v1alpha1.KeyReplicaRegion{Region: arn.Region(primary.Status.ARN)}) {
		if r.Region != there {
			u.ReplicaRegions = append(u.ReplicaRegions, v1alpha1.KeyReplicaRegion{Region: r.Region, Name: r.Name})
		}
	}
	u.ReplicaRegions = u.named(arn.Region(primary.Status.ARN))
	return u
}

// announce writes a change on a key.
func (u *PrimaryUpdate) announce(on *v1alpha1.KMSKey) error {
	text, err := json.Marshal(u)
	metav1.SetMetaDataAnnotation(&on.ObjectMeta, v1alpha1.PrimaryUpdateAnnotation, string(text))
	return err
}

// named are the regions of a change with the names of the replicas. here is the former primary's region.
func (u *PrimaryUpdate) named(here string) []v1alpha1.KeyReplicaRegion {
	out := slices.Clone(u.ReplicaRegions)
	for i := range out {
		if out[i].Name = ReplicaName(u.From, out[i]); out[i].Region == here {
			out[i].Name = u.From
		}
	}
	return out
}

// UpdatePrimary makes a replica the primary of its multi-Region keys, and the former one a replica. check is asked whether the primary as it is now may be changed; its
// error ends it. It fails with ErrPrimaryStays.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdatePrimaryRegion.html
//
// Crash-safe: the first write is the former primary's annotation, which says all that is to be done. From then on both are Updating, and if this ends, the former
// primary's controller goes on: see AdvancePrimary.
func (s *Service) UpdatePrimary(ctx context.Context, primary, replica *v1alpha1.KMSKey, check func(*v1alpha1.KMSKey) error) error {
	if err := s.lacksImports(replica, primary); err != nil { // nothing is begun that could not be ended
		return fmt.Errorf("%w: KMSKey %s: %w", ErrPrimaryStays, replica.Name, err)
	}
	primary, err := s.Change(ctx, primary, func(k *v1alpha1.KMSKey) error {
		if err := check(k); err != nil {
			return err
		}
		u := updateTo(k, replica)
		return u.announce(k)
	})
	if err != nil {
		return err
	}
	if err = s.advancePrimary(ctx, primary); !errors.Is(err, errSuperseded) {
		return err
	}
	now, err := s.live(ctx, primary)
	if err == nil && !IsReplica(now) {
		err = fmt.Errorf("%w: another process has ended the change; see the conditions of KMSKey %s", ErrPrimaryStays, now.Name)
	}
	return err
}

// AdvancePrimary brings a change of the primary to its end that the former primary's annotation says. It does nothing for any other key. It fails with ErrPrimaryStays,
// and the change is over then too.
//
// Crash-safe: each write can be repeated and leaves one primary at most, in this order: the new one is Updating; it gets the last material of the former; the former
// becomes its replica; it becomes the primary; other replicas, which have got that material too, become its; the former has its annotation no more. If the new one is
// gone meanwhile, is not listed any more, or cannot get the material, the former stays what it was. Replicas and rotation that the former is given meanwhile are written into its
// annotation before it becomes a replica, so that the new one has them. Each write that makes a primary or a replica of a key is made on the condition that the
// annotation is what it was, so that whoever is late changes nothing of a later change.
func (s *Service) AdvancePrimary(ctx context.Context, from *v1alpha1.KMSKey) error {
	err := s.advancePrimary(ctx, from)
	if errors.Is(err, errSuperseded) {
		return nil
	}
	return err
}

func (s *Service) advancePrimary(ctx context.Context, from *v1alpha1.KMSKey) error {
	for range attempts {
		restated, err := s.tryPrimary(ctx, from)
		if restated == nil || err != nil {
			return err
		}
		from = restated
	}
	return fmt.Errorf("changing the primary, KMSKey %s: others change what replicas or rotation it has all the time", from.Name)
}

// tryPrimary is advancePrimary for as long as the former primary has the replicas and the rotation that its annotation says. If it does not, it is answered with another
// annotation, and the change begins anew.
func (s *Service) tryPrimary(ctx context.Context, from *v1alpha1.KMSKey) (restated *v1alpha1.KMSKey, err error) {
	u, ok := UpdateOf(from)
	if !ok || from.Name != u.From {
		return nil, nil
	}
	c := primaryChange{u, from.Annotations[v1alpha1.PrimaryUpdateAnnotation]}
	to := &v1alpha1.KMSKey{}
	err = s.Live.Get(ctx, client.ObjectKey{Namespace: from.Namespace, Name: u.To}, to)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading KMSKey %s: %w", u.To, err)
	}
	if err != nil || !succeeds(to, from) {
		return nil, s.abandon(ctx, from, c)
	}
	if to.Spec.ReplicaOf != nil {
		prepared, err := s.prepare(ctx, to, from, c)
		if err != nil {
			return nil, s.endRefused(ctx, from, to, c, err)
		}
		to = prepared
	}
	yielded, again, err := s.yield(ctx, from, to, c)
	if err != nil {
		return nil, s.endRefused(ctx, from, to, c, err)
	}
	if again {
		return yielded, nil
	}
	return nil, s.succeed(ctx, yielded, to, c)
}

// endRefused ends a change that its new primary cannot be the end of, and fails with ErrPrimaryStays then. Any other error is answered as it is, and the change is gone on with later.
func (s *Service) endRefused(ctx context.Context, from, to *v1alpha1.KMSKey, c primaryChange, err error) error {
	switch {
	case errors.Is(err, errUnlisted):
		return s.abandon(ctx, from, c)
	case errors.Is(err, store.ErrTampered), errors.Is(err, store.ErrMissing), errors.Is(err, ErrPendingImport):
		return s.refusePrimary(ctx, from, to, c, err)
	}
	return err
}

// succeed is what is left of a change when the former primary is a replica.
func (s *Service) succeed(ctx context.Context, from, to *v1alpha1.KMSKey, c primaryChange) error {
	to, err := s.promote(ctx, to, from, c)
	if err != nil {
		return err
	}
	if err := s.redirect(ctx, from, to, c); err != nil {
		return err
	}
	return s.endUpdate(ctx, from, c.text)
}

// succeeds tells whether a key can become the primary in the place of another, or has: it has that one's id, and is its replica or is none. One that is being deleted
// cannot any more; if it is the primary already, its replicas hold it.
func succeeds(to, from *v1alpha1.KMSKey) bool {
	of := to.Spec.ReplicaOf
	done := of == nil && IsReplica(from) && from.Spec.ReplicaOf.Name == to.Name
	return to.Spec.MultiRegion && !Gone(to) && (to.DeletionTimestamp.IsZero() || done) && to.Status.KeyID != "" && to.Status.KeyID == from.Status.KeyID &&
		arn.Account(to.Status.ARN) == arn.Account(from.Status.ARN) && len(to.Status.KeyMaterials) > 0 && (of == nil || of.Name == from.Name)
}
