// Package generation turns the generators of specs into those of the core.
package generation

import (
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/generate"
	"strongroom.dev/strongroom/internal/fault"
)

// Validate says whether a generator makes something. The fault says InvalidGenerator.
func Validate(spec *v1alpha1.SecretGenerator) error {
	if err := Of(spec).Validate(); err != nil {
		return fault.Stalled(v1alpha1.ReasonInvalidGenerator, fmt.Errorf("spec.generate: %w", err))
	}
	return nil
}

// Of translates a spec. The API server let exactly one member through.
func Of(spec *v1alpha1.SecretGenerator) generate.Generator {
	switch {
	case spec.Password != nil:
		return passwordOf(spec.Password)
	case spec.JSON != nil:
		out := generate.JSON{Template: spec.JSON.Template, Key: spec.JSON.Key}
		if spec.JSON.Password != nil {
			out.Password = passwordOf(spec.JSON.Password)
		}
		return out
	case spec.Bytes != nil:
		return generate.Bytes{Length: int(spec.Bytes.Length), Encoding: generate.Encoding(spec.Bytes.Encoding)}
	default:
		return generate.UUID{}
	}
}

func passwordOf(spec *v1alpha1.PasswordGenerator) generate.Password {
	return generate.Password{
		Length:                  spec.Length,
		ExcludeCharacters:       spec.ExcludeCharacters,
		ExcludeNumbers:          spec.ExcludeNumbers,
		ExcludePunctuation:      spec.ExcludePunctuation,
		ExcludeUppercase:        spec.ExcludeUppercase,
		ExcludeLowercase:        spec.ExcludeLowercase,
		IncludeSpace:            spec.IncludeSpace,
		RequireEachIncludedType: spec.RequireEachIncludedType,
	}
}
