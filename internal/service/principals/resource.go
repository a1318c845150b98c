package principals

import (
	"context"
	"encoding/json"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
)

// The errors of a resource policy that AWS does not take.
var (
	// ErrPrincipal says that a policy names a user or role of the resource's account that is not there.
	ErrPrincipal = errors.New("unsupported principal")
	// ErrServicePrincipal says that a policy names an AWS service that there cannot be.
	ErrServicePrincipal = errors.New("unsupported service principal")
)

// ParseResourcePolicy compiles a resource policy of at most so many characters. Its error is an *iam.SyntaxError, which tells where the mistake is.
func ParseResourcePolicy(document []byte, maximum int) (*iam.Policy, error) {
	if n := utf8.RuneCount(document); n > maximum {
		return nil, &iam.SyntaxError{Offset: -1, Problem: fmt.Sprintf("the document has %d characters; at most %d are taken", n, maximum)}
	}
	return iam.Parse(document, iam.Resource)
}

// unreadable stands for a policy that cannot be understood: it may hold a Deny, so nobody may do anything.
var unreadable = func() *iam.Policy {
	p, err := iam.Parse([]byte(`{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`), iam.Resource)
	if err != nil {
		panic(err) // it is a constant
	}
	return p
}()

// Compiled is a resource policy as it is kept, by parse. One that parse does not understand lets nobody do anything.
func Compiled(document *v1alpha1.PolicyDocument, parse func([]byte) (*iam.Policy, error)) *iam.Policy {
	policy, err := parse(document.Raw)
	if err != nil {
		return unreadable
	}
	return policy
}

// CheckResourcePolicy compiles a resource policy of a request, as it will be kept. Its error is parse's, an *iam.SyntaxError, or ErrPrincipal or
// ErrServicePrincipal. Users and roles of the resource's own account must be there; of other accounts' nothing is told.
func CheckResourcePolicy(ctx context.Context, reader client.Reader, document, account string, parse func([]byte) (*iam.Policy, error)) (
	*v1alpha1.PolicyDocument, *iam.Policy, error,
) {
	if _, err := parse([]byte(document)); err != nil { // where the mistake is in the request's own text
		return nil, nil, err
	}
	kept, err := json.Marshal(json.RawMessage(document)) // as the Kubernetes API keeps it
	if err != nil {
		return nil, nil, &iam.SyntaxError{Offset: -1, Problem: "this is not JSON"}
	}
	policy, err := parse(kept)
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
	there, err := Find(ctx, reader, own)
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

// UnownedDigest is a policy's digest in a tombstone, which is no object's.
func UnownedDigest(document *v1alpha1.PolicyDocument) string {
	return Digest(&v1alpha1.Secret{}, document.Raw)
}

// Unowned is whom an object's policy names, as a tombstone keeps it: the restored object has another UID. It is nil if the policy was
// changed since it was bound.
func Unowned(of client.Object, document *v1alpha1.PolicyDocument, b *v1alpha1.PolicyBinding) *v1alpha1.PolicyBinding {
	if document == nil || b == nil || b.PolicyDigest != Digest(of, document.Raw) {
		return nil
	}
	return &v1alpha1.PolicyBinding{PolicyDigest: UnownedDigest(document), Principals: b.Principals}
}

// Rebound is the binding of an object that is restored: the one that it has, or else the one that a tombstone keeps, if the policy is the same.
func Rebound(of client.Object, document *v1alpha1.PolicyDocument, has, kept *v1alpha1.PolicyBinding) *v1alpha1.PolicyBinding {
	if document == nil || kept == nil || has != nil || kept.PolicyDigest != UnownedDigest(document) {
		return has
	}
	return &v1alpha1.PolicyBinding{PolicyDigest: Digest(of, document.Raw), Principals: kept.Principals}
}
