package parameterstore

import (
	"bytes"
	"errors"
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
)

// Why a value cannot be stored.
var (
	errEmpty    = errors.New("the value is empty; a parameter has at least 1 byte")
	errNested   = errors.New("the value refers to another parameter; take {{ out of it")
	errMismatch = errors.New("the value does not match spec.allowedPattern; change one of them")
	errPattern  = errors.New("spec.allowedPattern is no regular expression (RE2)")
)

// tooLong tells of a value that is over the size of its tier.
type tooLong struct{ has, most int }

// Error names both sizes.
func (e *tooLong) Error() string {
	return fmt.Sprintf("the value has %d bytes; its tier has at most %d", e.has, e.most)
}

// check says whether a value can be stored under a spec: size, pattern, no reference. It is about the value alone and tells nothing
// of it.
func check(spec *v1alpha1.ParameterSpec, now v1alpha1.ParameterTier, value secretbytes.Bytes) error {
	most := MaximumStandard
	if spec.Tier == v1alpha1.TierAdvanced || spec.Tier == v1alpha1.TierIntelligent || now == v1alpha1.TierAdvanced {
		most = MaximumAdvanced
	}
	switch n := value.Len(); {
	case n == 0:
		return errEmpty
	case n > most:
		return &tooLong{n, most}
	}
	if spec.Type != v1alpha1.ParameterSecureString && bytes.Contains(value.Reveal(), []byte(nesting)) {
		return errNested
	}
	if spec.AllowedPattern == "" {
		return nil
	}
	pattern, err := compilePattern(spec.AllowedPattern)
	if err != nil {
		return err
	}
	if !pattern.Match(value.Reveal()) {
		return errMismatch
	}
	return nil
}

// nesting begins a reference to another parameter, and nestingEnd ends it.
const nesting, nestingEnd = "{{", "}}"

// CheckPut says whether a request may put a value: it refers to no other parameter, whatever its type is. A SecureString that is generated, or that a manifest seals,
// is not asked: a password may look so.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-working-with.html
func CheckPut(value []byte) error {
	if _, after, found := bytes.Cut(value, []byte(nesting)); found && bytes.Contains(after, []byte(nestingEnd)) {
		return valueError(nil, errNested)
	}
	return nil
}

// CheckValue says whether a value can be a Parameter's next version. The fault says InvalidValue and nothing of the value.
func CheckValue(p *v1alpha1.Parameter, value secretbytes.Bytes) error {
	if err := check(&p.Spec, p.Status.Tier, value); err != nil {
		return fault.Stalled(v1alpha1.ReasonInvalidValue, err)
	}
	return nil
}

// CheckPattern says whether a text can be an AllowedPattern. The error is AWS's InvalidAllowedPatternException.
func CheckPattern(pattern string) error {
	if _, err := compilePattern(pattern); err != nil {
		return patternError(err)
	}
	return nil
}
