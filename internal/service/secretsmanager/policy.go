package secretsmanager

import (
	"context"
	"encoding/json"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/principals"
)

// MaximumPolicy is the length of a secret's resource policy in characters.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const MaximumPolicy = 20480

// The errors of a resource policy that AWS does not take.
var (
	// ErrPrincipal says that a policy names a user or role of the secret's account that is not there.
	ErrPrincipal = errors.New("unsupported principal")
	// ErrServicePrincipal says that a policy names an AWS service that there cannot be.
	ErrServicePrincipal = errors.New("unsupported service principal")
)

// ParsePolicy compiles a resource policy. Its error is an *iam.SyntaxError, which tells where the mistake is.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html
func ParsePolicy(document []byte) (*iam.Policy, error) {
	if n := utf8.RuneCount(document); n > MaximumPolicy {
		return nil, &iam.SyntaxError{Offset: -1, Problem: fmt.Sprintf("the document has %d characters; AWS takes at most %d", n, MaximumPolicy)}
	}
	return iam.Parse(document, iam.Resource)
}

// unreadable stands for a policy that cannot be understood: it may hold a Deny, so nobody may do anything.
var unreadable = func() *iam.Policy {
	p, err := ParsePolicy([]byte(`{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`))
	if err != nil {
		panic(err)
	}
	return p
}()

// Policy is a secret's resource policy, compiled once for each generation of the object; nil if it has none.
func (s *Service) Policy(secret *v1alpha1.Secret) *iam.Policy {
	document, binding := secret.Spec.ResourcePolicy, secret.Status.PolicyBinding
	if document == nil {
		return nil
	}
	return s.Policies.Use(string(secret.UID), secret.Generation, binding, func() *iam.Policy {
		return principals.Bound(compile(document), binding, principals.Digest(secret, document.Raw))
	})
}

// EntombedPolicy is the resource policy that a secret had which is scheduled for deletion, nil for none. It still says who may describe,
// restore and delete it.
func EntombedPolicy(exhumed *v1alpha1.Secret) *iam.Policy {
	document := exhumed.Spec.ResourcePolicy
	if document == nil {
		return nil
	}
	return principals.Bound(compile(document), exhumed.Status.PolicyBinding, unownedDigest(document))
}

func compile(document *v1alpha1.PolicyDocument) *iam.Policy {
	policy, err := ParsePolicy(document.Raw)
	if err != nil {
		return unreadable
	}
	return policy
}

// CheckPolicy compiles a resource policy of a request, as it will be kept. Its error is an *iam.SyntaxError, ErrPrincipal or
// ErrServicePrincipal. Users and roles of the secret's own account must be there; of other accounts' nothing is told.
func (s *Service) CheckPolicy(ctx context.Context, document, account string) (*v1alpha1.PolicyDocument, *iam.Policy, error) {
	if _, err := ParsePolicy([]byte(document)); err != nil { // where the mistake is in the request's own text
		return nil, nil, err
	}
	kept, err := json.Marshal(json.RawMessage(document)) // as the Kubernetes API keeps it
	if err != nil {
		return nil, nil, &iam.SyntaxError{Offset: -1, Problem: "this is not JSON"}
	}
	policy, err := ParsePolicy(kept)
	if err != nil {
		return nil, nil, err
	}
	for _, service := range policy.Services() {
		if !strings.HasSuffix(service, ".amazonaws.com") || strings.ContainsAny(service, "*?/: ") {
			return nil, nil, ErrServicePrincipal
		}
	}
	var own []string
	for _, name := range policy.Principals() {
		if arn.Account(name) == account {
			own = append(own, name)
		}
	}
	there, err := principals.Find(ctx, s.Client, own)
	if err != nil {
		return nil, nil, err
	}
	if len(there) < len(own) {
		return nil, nil, ErrPrincipal
	}
	out := &v1alpha1.PolicyDocument{}
	out.Raw = jsontext.Value(kept)
	return out, policy, nil
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

// unownedDigest is a policy's digest in a tombstone, which is no object's.
func unownedDigest(document *v1alpha1.PolicyDocument) string {
	return principals.Digest(&v1alpha1.Secret{}, document.Raw)
}

// unowned is whom a secret's policy names, as a tombstone keeps it: the restored object has another UID. It is nil if the policy was
// changed since it was bound.
func unowned(secret *v1alpha1.Secret) *v1alpha1.PolicyBinding {
	document, b := secret.Spec.ResourcePolicy, secret.Status.PolicyBinding
	if document == nil || b == nil || b.PolicyDigest != principals.Digest(secret, document.Raw) {
		return nil
	}
	return &v1alpha1.PolicyBinding{PolicyDigest: unownedDigest(document), Principals: b.Principals}
}

// Rebind gives a secret that is restored the binding that a tombstone keeps, if its policy is the same and is not bound yet.
func Rebind(secret *v1alpha1.Secret, kept *v1alpha1.PolicyBinding) {
	document := secret.Spec.ResourcePolicy
	if document == nil || kept == nil || secret.Status.PolicyBinding != nil || kept.PolicyDigest != unownedDigest(document) {
		return
	}
	secret.Status.PolicyBinding = &v1alpha1.PolicyBinding{PolicyDigest: principals.Digest(secret, document.Raw), Principals: kept.Principals}
}

// PolicyDocument is a secret's resource policy as text, empty if it has none.
func PolicyDocument(secret *v1alpha1.Secret) string {
	if secret.Spec.ResourcePolicy == nil {
		return ""
	}
	return string(secret.Spec.ResourcePolicy.Raw)
}
