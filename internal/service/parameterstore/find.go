package parameterstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/store"
)

const (
	// NameIndex is the cache index of Parameters by their canonical name. A Parameter whose own name that is is not in it.
	NameIndex = "aws-name"
	// PathIndex is the cache index of Parameters by the paths that they are below, of the first levels.
	PathIndex = "path"
	// TombstoneIndex is the cache index of the Envelopes that are tombstones of Parameters, by ARN.
	TombstoneIndex = "parameter-tombstone"
)

// IndexTombstone lists the values of TombstoneIndex.
func IndexTombstone(obj client.Object) []string {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok || e.Spec.Class != v1alpha1.EnvelopeTombstone || e.Spec.Owner.Kind != OwnerKind {
		return nil
	}
	return []string{e.Spec.Subject}
}

// RegionOf is the region of a Parameter.
func (s *Service) RegionOf(p *v1alpha1.Parameter) string {
	if p.Spec.Region != "" {
		return p.Spec.Region
	}
	return s.Region
}

// IsOwn tells whether an ARN can be a Parameter's: it has the name, and the region if spec has one. One that names none keeps that in which it was
// made when the operator has moved to another.
func IsOwn(p *v1alpha1.Parameter, subject string) bool {
	region, _, name, ok := arn.OfParameter(subject)
	return ok && name == p.CanonicalName() && (p.Spec.Region == "" || p.Spec.Region == region)
}

// ARNOf is the ARN of a Parameter: that of status, or that which the API made it with. It is empty as long as none of the two is
// there: the controller has not looked at it yet, and for the API it does not exist. Nor does it if status has another parameter's, which somebody wrote
// there: what is stored under that would be in the place of the other one's versions. The controller tells it.
func (s *Service) ARNOf(p *v1alpha1.Parameter) string {
	if p.Status.ARN != "" {
		if !IsOwn(p, p.Status.ARN) {
			return ""
		}
		return p.Status.ARN
	}
	made := p.Annotations[v1alpha1.SubjectAnnotation]
	if region, _, name, ok := arn.OfParameter(made); ok && region == s.RegionOf(p) && name == p.CanonicalName() {
		return made
	}
	return ""
}

// Find finds a parameter of a namespace and region, in the cache alone; nil if there is none with a version, or it has expired. It is the cache's own:
// read it only.
func (s *Service) Find(ctx context.Context, namespace, region, account string, id *ID) (*v1alpha1.Parameter, error) {
	if id.Account != "" && (id.Account != account || id.Region != region) {
		return nil, nil
	}
	p, err := s.Declared(ctx, namespace, region, id.Name)
	if err != nil || p == nil || s.ARNOf(p) == "" || len(p.Status.Versions) == 0 || Expired(p, s.Now()) {
		return nil, err
	}
	return p, nil
}

// Declared finds the Parameter that has a name in a region, be there a version of it or not: the eldest, if several claim it. It is the
// cache's own: read it only.
func (s *Service) Declared(ctx context.Context, namespace, region, name string) (*v1alpha1.Parameter, error) {
	canonical := arn.CanonicalParameter(name)
	claimants, err := s.Claimants(ctx, namespace, canonical)
	if err != nil {
		return nil, err
	}
	here := claimants[:0]
	for i := range claimants {
		if s.RegionOf(&claimants[i]) == region && claimants[i].DeletionTimestamp.IsZero() {
			here = append(here, claimants[i])
		}
	}
	for i := range here {
		if len(here) == 1 || claim.Elder(&here[i], here) == "" {
			return &here[i], nil
		}
	}
	return nil, nil
}

// Claimants are the Parameters of a namespace that have a canonical name, in whatever region. They are the cache's own: read them
// only.
func (s *Service) Claimants(ctx context.Context, namespace, canonical string, options ...client.ListOption) ([]v1alpha1.Parameter, error) {
	var list v1alpha1.ParameterList
	err := s.Client.List(ctx, &list, append(options, client.InNamespace(namespace), client.MatchingFields{NameIndex: canonical},
		client.UnsafeDisableDeepCopy)...)
	if err != nil {
		return nil, fmt.Errorf("looking for Parameters by name: %w", err)
	}
	if strings.Contains(canonical, "/") { // no object has such a name
		return list.Items, nil
	}
	own := make([]v1alpha1.Parameter, 1)
	switch err := s.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: canonical}, &own[0], client.UnsafeDisableDeepCopy); {
	case err == nil && own[0].CanonicalName() == canonical && len(list.Items) == 0:
		return own, nil
	case err == nil && own[0].CanonicalName() == canonical:
		list.Items = append(list.Items[:len(list.Items):len(list.Items)], own[0])
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("looking for Parameter %s: %w", canonical, err)
	}
	return list.Items, nil
}

// HeldBy names the deleted object, if it is not that of name, whose versions still have an ARN, and until when. Versions of one ARN
// have the same Envelopes, so another object of the ARN has to wait. A tombstone that is forged is none.
func (s *Service) HeldBy(ctx context.Context, namespace, subject, name string) (holder string, until time.Time, err error) {
	tombstones, err := s.Store.Indexed(ctx, namespace, TombstoneIndex, subject)
	if err != nil {
		return "", until, err
	}
	for i := range tombstones {
		e := &tombstones[i]
		if e.Spec.Owner.Name == name || e.Spec.ExpireTime == nil || store.BeingDeleted(e) || store.Forged(s.KMS.Keyring, e) {
			continue
		}
		holder, until = e.Spec.Owner.Name, e.Spec.ExpireTime.UTC()
	}
	return holder, until, nil
}

// List lists the parameters of a namespace and region below a path that have a version and have not expired, in no order, from the cache alone. / and the
// empty path are all. They are the cache's own: read them only.
func (s *Service) List(ctx context.Context, namespace, region, path string) ([]*v1alpha1.Parameter, error) {
	var list v1alpha1.ParameterList
	options := []client.ListOption{client.InNamespace(namespace), client.UnsafeDisableDeepCopy}
	if at := indexedPath(path); at != "" {
		options = append(options, client.MatchingFields{PathIndex: at})
	}
	if err := s.Client.List(ctx, &list, options...); err != nil {
		return nil, fmt.Errorf("listing Parameters: %w", err)
	}
	now, out := s.Now(), make([]*v1alpha1.Parameter, 0, len(list.Items))
	for i := range list.Items {
		if p := &list.Items[i]; s.listed(p, region, now) && Under(path, p.AWSName(), true) {
			out = append(out, p)
		}
	}
	return out, nil
}

// listed tells whether lists of a region have a Parameter.
func (s *Service) listed(p *v1alpha1.Parameter, region string, now time.Time) bool {
	return IsOwn(p, p.Status.ARN) && len(p.Status.Versions) > 0 && s.RegionOf(p) == region && p.DeletionTimestamp.IsZero() && !Expired(p, now)
}

// Listed is the Parameter of an object's name, if lists of its region have it; nil if they have not. It is the cache's own: read it only.
func (s *Service) Listed(ctx context.Context, namespace, region, object string) (*v1alpha1.Parameter, error) {
	p := &v1alpha1.Parameter{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: object}, p, client.UnsafeDisableDeepCopy)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("looking for Parameter %s: %w", object, err)
	case err != nil || !s.listed(p, region, s.Now()):
		return nil, nil
	}
	return p, nil
}

// indexedLevels is by how many levels of their paths Parameters are in PathIndex: enough for /prod/shop, few enough for the memory that each costs.
const indexedLevels = 2

// IndexPaths lists the values of PathIndex: the paths above a Parameter, from the first level on.
func IndexPaths(obj client.Object) (out []string) {
	p, ok := obj.(*v1alpha1.Parameter)
	if !ok {
		return nil
	}
	paths := Paths(p.AWSName())[1:] // / is all
	return paths[:min(len(paths), indexedLevels)]
}

// indexedPath is the path of PathIndex that has all that is below a path, and maybe more; empty if there is none.
func indexedPath(path string) string {
	path = strings.TrimSuffix(path, "/")
	for at, levels := 1, 0; at < len(path); at++ {
		if path[at] == '/' {
			if levels++; levels == indexedLevels {
				return path[:at]
			}
		}
	}
	return path
}
