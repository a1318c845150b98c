package secretsmanager

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/adoption"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

// CreateInput is a secret that a request makes.
type CreateInput struct {
	Namespace, Account, Region string
	// Name in AWS, of at most MaximumName characters that CheckName takes.
	Name string
	// Token is the ClientRequestToken, and the first version's id.
	Token string
	// Description, for people.
	Description string
	// Tags of the secret.
	Tags []v1alpha1.Tag
	// KeyName is the KMSKey of the namespace that encrypts it; the account's own if empty.
	KeyName string
	// ReplicaRegions that it is replicated to from the first, over secrets of the name there if ForceOverwrite.
	ReplicaRegions []AddedRegion
	ForceOverwrite bool
	// WithValue tells that CreateValue follows, so that the key is waited for before anything is made.
	WithValue bool
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=secrets,verbs=create;update;delete

// Create makes a Secret without a value, or returns the one that the same token has made, if that is still as it was made but for its description: whoever may make Secrets could
// have made one with that token. Another of the name is ResourceExistsException, or InvalidRequestException if it is scheduled for deletion.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
//
// Crash-safe: the object holds the token and its ARN from the first, so that the request made again goes on with it; PutValue
// is the second step, if there is a value.
func (s *Service) Create(ctx context.Context, in CreateInput) (*v1alpha1.Secret, error) {
	existing, err := s.byName(ctx, in.Namespace, in.Region, in.Name)
	if err != nil {
		return nil, err
	}
	if existing != nil {
		return s.made(existing, in)
	}
	entombed, err := s.tombstone(ctx, in.Namespace, in.Region, in.Account, &ID{Name: in.Name})
	if err != nil {
		return nil, err
	}
	if entombed != nil {
		return nil, invalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	secret, err := s.newSecret(in)
	if err != nil {
		return nil, err
	}
	if in.WithValue { // a request that ends while it waits for the key leaves no secret without a value
		if _, err := s.AwaitKey(ctx, secret); err != nil {
			return nil, err
		}
	}
	return s.create(ctx, secret, in)
}

// create makes the object, under a derived name if the first choice is another secret's.
func (s *Service) create(ctx context.Context, secret *v1alpha1.Secret, in CreateInput) (*v1alpha1.Secret, error) {
	for _, object := range []string{s.objectName(in.Region, in.Name), derivedName(in.Region, in.Name)} {
		attempt := secret.DeepCopy()
		if attempt.Name = object; object == in.Name {
			attempt.Spec.Name = ""
		}
		err := s.Client.Create(ctx, attempt, client.FieldOwner(FieldOwner))
		if err == nil {
			return attempt, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("creating Secret %s: %w", object, err)
		}
		existing := &v1alpha1.Secret{}
		if err := s.Store.Live.Get(ctx, client.ObjectKeyFromObject(attempt), existing); err != nil {
			return nil, fmt.Errorf("reading Secret %s: %w", object, err)
		}
		if existing.AWSName() == in.Name && s.RegionOf(existing) == in.Region && !store.BeingDeleted(existing) {
			return s.made(existing, in)
		}
	}
	return nil, nameExists(in.Name)
}

// made says whether a Secret is what this very request has made before.
func (s *Service) made(secret *v1alpha1.Secret, in CreateInput) (*v1alpha1.Secret, error) {
	subject := secret.Annotations[v1alpha1.SubjectAnnotation]
	if !arn.IsSecret(subject, in.Region, in.Account, in.Name) {
		return nil, nameExists(in.Name)
	}
	attempt, err := s.secretOf(in, subject) // with the six random characters that it has already
	if err != nil || adoption.Check(secret, attempt) != nil {
		return nil, nameExists(in.Name)
	}
	wanted, has := attempt.Spec, *secret.Spec.DeepCopy()
	wanted.Description, has.Description = "", "" // AWS compares the value alone; all that makes it another's to see, to rotate or to let go, is compared here
	if has.Name = in.Name; !equality.Semantic.DeepEqual(has, wanted) {
		return nil, nameExists(in.Name)
	}
	return secret, nil
}

func (s *Service) newSecret(in CreateInput) (*v1alpha1.Secret, error) {
	subject, err := s.newARN(in.Region, in.Account, in.Name)
	if err != nil {
		return nil, err
	}
	return s.secretOf(in, subject)
}

// secretOf is the Secret of a request and an ARN, without an object's name.
func (s *Service) secretOf(in CreateInput, subject string) (*v1alpha1.Secret, error) {
	secret := &v1alpha1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: in.Namespace, Annotations: map[string]string{
			v1alpha1.SubjectAnnotation: subject, v1alpha1.RequestTokenAnnotation: in.Token,
		}},
		Spec: v1alpha1.SecretSpec{Name: in.Name, Description: in.Description, Tags: in.Tags},
	}
	if in.Region != s.Region {
		secret.Spec.Region = in.Region
	}
	if in.KeyName != "" {
		secret.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: in.KeyName}
	}
	return secret, Add(&secret.Spec, in.ReplicaRegions, in.ForceOverwrite)
}

// newARN makes the ARN of a new secret: its six characters are random, and so tell it from an earlier secret of the name.
func (s *Service) newARN(region, account, name string) (string, error) {
	random, err := sealed.NewID(s.Random)
	if err != nil {
		return "", err
	}
	return arn.Secret(region, account, name, arn.Suffix(random)), nil
}

// CreateValue is PutValue of the first version of a secret that Create made. A value other than the one that the token has
// made is ResourceExistsException, as for a secret that is there.
func (s *Service) CreateValue(ctx context.Context, in PutValueInput) (versions.Version, error) {
	v, err := s.PutValue(ctx, in)
	if inUse(err) {
		return v, nameExists(in.Secret.AWSName())
	}
	return v, err
}
