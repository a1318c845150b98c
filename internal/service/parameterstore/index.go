package parameterstore

import (
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

// IndexOf is the index of versions that status holds.
func IndexOf(p *v1alpha1.Parameter) versions.Index {
	ix := make(versions.Index, 0, len(p.Status.Versions))
	for i := range p.Status.Versions {
		ix = append(ix, versionOf(&p.Status.Versions[i]))
	}
	return ix
}

// LatestOf is Latest of a Parameter's index, of which it reads no more.
func LatestOf(p *v1alpha1.Parameter) (versions.Version, bool) {
	if len(p.Status.Versions) == 0 {
		return versions.Version{}, false
	}
	return versionOf(&p.Status.Versions[len(p.Status.Versions)-1]), true
}

func versionOf(v *v1alpha1.ParameterVersion) versions.Version {
	return versions.Version{ID: versions.Number(v.Version), Sequence: v.Version, Stages: v.Labels, Created: v.CreatedTime.UTC()}
}

// Record puts an index into status, without the versions that are not kept, and returns those. size is the latest value's in
// bytes, 0 if it is not known. Writing that status commits the index; the caller then prunes.
func Record(p *v1alpha1.Parameter, arn string, ix versions.Index, size int) (gone versions.Index) {
	status := &p.Status
	status.ARN = arn
	kept, gone := ix.Trim()
	status.Versions = make([]v1alpha1.ParameterVersion, 0, len(kept))
	for _, v := range kept {
		status.Versions = append(status.Versions, v1alpha1.ParameterVersion{
			Version: v.Sequence, Labels: v.Stages, CreatedTime: metav1.NewTime(v.Created).Rfc3339Copy(),
		})
	}
	status.Version, status.LastModifiedTime = 0, nil
	if latest, ok := Latest(kept); ok {
		status.Version = latest.Sequence
		modified := metav1.NewTime(latest.Created).Rfc3339Copy()
		status.LastModifiedTime = &modified
	}
	status.Tier = tierAfter(&p.Spec, status.Tier, size)
	return gone
}

// tierAfter is the tier that a parameter is in: one that is Advanced stays so, and Intelligent-Tiering becomes so by a large value, by policies and by a resource policy.
func tierAfter(spec *v1alpha1.ParameterSpec, now v1alpha1.ParameterTier, size int) v1alpha1.ParameterTier {
	switch {
	case spec.Tier == v1alpha1.TierAdvanced, now == v1alpha1.TierAdvanced,
		spec.Tier == v1alpha1.TierIntelligent && (size > MaximumStandard || len(spec.Policies) > 0 || spec.ResourcePolicy != nil):
		return v1alpha1.TierAdvanced
	}
	return v1alpha1.TierStandard
}

// SubjectOf is whose versions a parameter's are. ARN is empty as long as it has none.
func (s *Service) SubjectOf(p *v1alpha1.Parameter) sealed.Subject {
	return SubjectUnder(p, s.ARNOf(p))
}

// SubjectUnder is SubjectOf for the ARN that a Parameter has, or gets with this pass. No version of a SecureString is read that no KMSKey encrypts: it takes none over (fits).
func SubjectUnder(p *v1alpha1.Parameter, subject string) sealed.Subject {
	return sealed.Subject{
		Namespace: p.Namespace, Name: p.Name, ARN: subject, Reading: store.Reading(p), Type: string(p.Spec.Type), Keyed: p.Spec.Type == v1alpha1.ParameterSecureString,
	}
}

// LostOf is a Parameter of an ARN as one whose versions are looked for.
func LostOf(p *v1alpha1.Parameter, subject string) sealed.Lost {
	return sealed.Lost{
		Namespace: p.Namespace, Name: p.Name, Reading: store.Reading(p), Type: string(p.Spec.Type), Created: p.CreationTimestamp.Time,
		Mine: func(arn string) bool { return arn == subject },
	}
}

// Select chooses the version that a selector names: :VERSION, :LABEL, or the latest if it is empty. It fails with
// ParameterVersionNotFound.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-labels.html
func Select(p *v1alpha1.Parameter, selector string) (versions.Version, error) {
	vs := p.Status.Versions
	if selector == "" {
		if len(vs) == 0 {
			return versions.Version{}, NotFound("")
		}
		return versionOf(&vs[len(vs)-1]), nil
	}
	var at int
	if number, err := strconv.ParseInt(selector, 10, 64); err == nil && strconv.FormatInt(number, 10) == selector {
		at = slices.IndexFunc(vs, func(v v1alpha1.ParameterVersion) bool { return v.Version == number })
	} else {
		at = slices.IndexFunc(vs, func(v v1alpha1.ParameterVersion) bool { return slices.Contains(v.Labels, selector) })
	}
	if at < 0 {
		return versions.Version{}, versionNotFound(p.AWSName(), selector)
	}
	return versionOf(&vs[at]), nil
}
