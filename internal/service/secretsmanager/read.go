package secretsmanager

import (
	"slices"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
)

// Select chooses the version that a request reads: by id, by stage, or both, which must agree; AWSCURRENT if by neither.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func Select(secret *v1alpha1.Secret, id, stage string) (versions.Version, error) {
	if id == "" && stage == "" {
		stage = versions.Current
	}
	for i := range secret.Status.Versions {
		v := &secret.Status.Versions[i]
		switch {
		case id == "" && slices.Contains(v.Stages, stage):
			return versionOf(v), nil
		case id != "" && v.VersionID == id:
			if stage != "" && !slices.Contains(v.Stages, stage) {
				return versions.Version{}, invalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
			}
			return versionOf(v), nil
		}
	}
	if id != "" {
		return versions.Version{}, noValueOfVersion(id)
	}
	return versions.Version{}, noValueOfStage(stage)
}
