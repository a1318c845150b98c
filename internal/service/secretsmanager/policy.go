package secretsmanager

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/principals"
)

// MaximumPolicy is the length of a secret's resource policy in characters.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const MaximumPolicy = 20480

// The errors of a resource policy that AWS does not take.
var (
	// ErrPrincipal says that a policy names a user or role of the secret's account that is not there.
	ErrPrincipal = principals.ErrPrincipal
	// ErrServicePrincipal says that a policy names an AWS service that there cannot be.
	ErrServicePrincipal = principals.ErrServicePrincipal
)

// ParsePolicy compiles a resource policy. Its error is an *iam.SyntaxError, which tells where the mistake is.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html
func ParsePolicy(document []byte) (*iam.Policy, error) {
	return principals.ParseResourcePolicy(document, MaximumPolicy)
}

// Policy is a secret's resource policy, compiled once for each generation of the object; nil if it has none.
func (s *Service) Policy(secret *v1alpha1.Secret) *iam.Policy {
	document, binding := secret.Spec.ResourcePolicy, secret.Status.PolicyBinding
	if document == nil {
		return nil
	}
	return s.Policies.Use(string(secret.UID), secret.Generation, binding, func() *iam.Policy {
		return principals.Bound(principals.Compiled(document, ParsePolicy), binding, principals.Digest(secret, document.Raw))
	})
}

// EntombedPolicy is the resource policy that a secret had which is scheduled for deletion, nil for none. It still says who may describe,
// restore and delete it.
func EntombedPolicy(exhumed *v1alpha1.Secret) *iam.Policy {
	document := exhumed.Spec.ResourcePolicy
	if document == nil {
		return nil
	}
	return principals.Bound(principals.Compiled(document, ParsePolicy), exhumed.Status.PolicyBinding, principals.UnownedDigest(document))
}

// CheckPolicy compiles a resource policy of a request, as it will be kept. Its error is an *iam.SyntaxError, ErrPrincipal or
// ErrServicePrincipal. Users and roles of the secret's own account must be there; of other accounts' nothing is told.
func (s *Service) CheckPolicy(ctx context.Context, document, account string) (*v1alpha1.PolicyDocument, *iam.Policy, error) {
	return principals.CheckResourcePolicy(ctx, s.Client, document, account, ParsePolicy)
}

// PutPolicy attaches a resource policy to a secret by the request of this id, or takes it away if it is nil. Whom it names is bound anew, though its text may be the
// same. Crash-safe: it is one write, as in Change.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html
func (s *Service) PutPolicy(ctx context.Context, secret *v1alpha1.Secret, document *v1alpha1.PolicyDocument, requestID string) error {
	_, err := s.changeObject(ctx, secret, func(live *v1alpha1.Secret) error {
		if live.Spec.ResourcePolicy = document; document != nil {
			principals.Save(live, requestID)
		}
		return nil
	})
	return err
}

// Rebind gives a secret that is restored the binding that a tombstone keeps, if its policy is the same and is not bound yet.
func Rebind(secret *v1alpha1.Secret, kept *v1alpha1.PolicyBinding) {
	secret.Status.PolicyBinding = principals.Rebound(secret, secret.Spec.ResourcePolicy, secret.Status.PolicyBinding, kept)
}

// PolicyDocument is a secret's resource policy as text, empty if it has none.
func PolicyDocument(secret *v1alpha1.Secret) string {
	if secret.Spec.ResourcePolicy == nil {
		return ""
	}
	return string(secret.Spec.ResourcePolicy.Raw)
}
