package rotation

import (
	"context"
	"crypto/x509"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/generate"
	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/mysql"
	"strongroom.dev/strongroom/internal/core/rotation/postgres"
	"strongroom.dev/strongroom/internal/core/rotation/redis"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/generation"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// excluded are the characters that AWS's rotation functions leave out of a password, for they have a meaning in connection strings.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot_rotation.html
const excluded = `/@"'\`

// database rotates users of database servers.
type database struct{ *Service }

func (d *database) Create(ctx context.Context, r *Rotation) (secretbytes.Bytes, error) {
	current, err := d.version(ctx, r, versions.Current)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	defer current.Wipe()
	rotator, err := d.rotator(ctx, r)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	value, err := rotator.Create(current)
	return value, faultOf(err)
}

func (d *database) Set(ctx context.Context, r *Rotation) (out rotation.Outcome, err error) {
	err = d.with(ctx, r, func(rotator *rotation.Database, stored *rotation.Stored) error {
		out, err = rotator.Set(ctx, stored)
		return err
	})
	return out, err
}

func (d *database) Test(ctx context.Context, r *Rotation) error {
	return d.with(ctx, r, func(rotator *rotation.Database, stored *rotation.Stored) error { return rotator.Test(ctx, stored) })
}

// with reads what is stored for as long as f runs.
func (d *database) with(ctx context.Context, r *Rotation, f func(*rotation.Database, *rotation.Stored) error) error {
	rotator, err := d.rotator(ctx, r)
	if err != nil {
		return err
	}
	stored, err := d.stored(ctx, r)
	defer func() {
		for _, c := range []*rotation.Credential{stored.Pending, stored.Current, stored.Previous, stored.Admin} {
			c.Wipe()
		}
	}()
	if err != nil {
		return err
	}
	return faultOf(f(rotator, &stored))
}

// rotator is made for each step: spec or the certificates may have changed since the last.
func (d *database) rotator(ctx context.Context, r *Rotation) (*rotation.Database, error) {
	spec := r.Secret.Spec.Rotation
	protection, err := d.tls(ctx, r.Secret.Namespace, spec.Database().TLS)
	if err != nil {
		return nil, err
	}
	out := &rotation.Database{Engine: engine(spec, protection), Strategy: rotation.SingleUser}
	if spec.Strategy == v1alpha1.RotationAlternatingUsers {
		out.Strategy = rotation.AlternatingUsers
	}
	password := generator(r.Secret)
	out.NewPassword = func() (secretbytes.Bytes, error) { return password.Generate(nil) }
	return out, nil
}

// engine is what spec names.
func engine(spec *v1alpha1.SecretRotation, protection rotation.TLS) rotation.Engine {
	switch {
	case spec.MySQL != nil:
		return mysql.Engine{TLS: protection}
	case spec.Redis != nil:
		return redis.Engine{TLS: protection}
	}
	return postgres.Engine{TLS: protection}
}

// generator makes the passwords of a secret: as its own generator does, or else as AWS's rotation functions do.
func generator(secret *v1alpha1.Secret) generate.Generator {
	if g := secret.Spec.Generate; g != nil && g.JSON != nil && g.JSON.Password != nil {
		return generation.Of(&v1alpha1.SecretGenerator{Password: g.JSON.Password})
	}
	return generate.Password{ExcludeCharacters: excluded}
}

// stored reads the versions and the admin. What it read is in its result even if it fails.
func (d *database) stored(ctx context.Context, r *Rotation) (out rotation.Stored, err error) {
	if out.Pending, err = d.version(ctx, r, versions.Pending); err != nil {
		return out, err
	}
	if out.Current, err = d.versionIfAny(ctx, r, versions.Current); err != nil {
		return out, err
	}
	if out.Previous, err = d.versionIfAny(ctx, r, versions.Previous); err != nil {
		return out, err
	}
	if ref := r.Secret.Spec.Rotation.Database().AdminSecretRef; ref != nil {
		out.Admin, err = d.admin(ctx, r.Secret.Namespace, ref.Name)
	}
	return out, err
}

func (d *database) versionIfAny(ctx context.Context, r *Rotation, stage string) (*rotation.Credential, error) {
	if _, has := r.Index.ByStage(stage); !has {
		return nil, nil
	}
	return d.version(ctx, r, stage)
}

// version reads the version that holds a stage, which there is.
func (d *database) version(ctx context.Context, r *Rotation, stage string) (*rotation.Credential, error) {
	v, has := r.Index.ByStage(stage)
	if !has {
		return nil, fmt.Errorf("no version holds %s", stage)
	}
	of := d.Secrets.SubjectOf(r.Secret)
	of.ARN = r.ARN
	value, err := d.Secrets.Versions().Value(ctx, of, v)
	if err != nil {
		return nil, err
	}
	defer value.Wipe()
	c, err := rotation.Parse(value, passwordKey(r.Secret))
	if err != nil {
		return nil, invalid(v1alpha1.ReasonInvalidCredential, "version %s (%s): %w", v.ID, stage, err)
	}
	return c, nil
}

func passwordKey(secret *v1alpha1.Secret) string {
	if g := secret.Spec.Generate; g != nil && g.JSON != nil {
		return g.JSON.Key
	}
	return ""
}

// admin reads the current version of the admin's Secret, of the same namespace.
func (d *database) admin(ctx context.Context, namespace, name string) (*rotation.Credential, error) {
	secret := &v1alpha1.Secret{}
	err := d.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, invalid(v1alpha1.ReasonAdminSecretNotFound, "spec.rotation: adminSecretRef names Secret %s of strongroom.dev, which does not exist", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	index := secretsmanager.IndexOf(secret)
	if _, has := index.ByStage(versions.Current); !has || secret.Status.ARN == "" {
		return nil, invalid(v1alpha1.ReasonAdminSecretNotFound, "spec.rotation: Secret %s, which adminSecretRef names, has no current version yet", name)
	}
	c, err := d.version(ctx, &Rotation{Secret: secret, ARN: secret.Status.ARN, Index: index}, versions.Current)
	if err != nil {
		return nil, fmt.Errorf("the admin's Secret %s: %w", name, err)
	}
	return c, nil
}

// tls is how connections are protected.
func (d *database) tls(ctx context.Context, namespace string, spec *v1alpha1.DatabaseTLS) (rotation.TLS, error) {
	if spec == nil {
		return rotation.TLS{Mode: rotation.TLSVerifyFull}, nil
	}
	out := rotation.TLS{Mode: rotation.TLSMode(spec.Mode)}
	ref := spec.CASecretRef
	if ref == nil {
		return out, nil
	}
	var err error
	out.Roots, err = d.authorities(ctx, namespace, ref)
	return out, err
}

// authorities reads certificates. The core Secret is read live and by name, as those are not all cached.
func (s *Service) authorities(ctx context.Context, namespace string, ref *v1alpha1.SecretKeyReference) (*x509.CertPool, error) {
	source := &corev1.Secret{}
	err := s.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, source)
	if apierrors.IsNotFound(err) {
		return nil, invalid(v1alpha1.ReasonTLSFailed, "spec.rotation: caSecretRef names core Secret %s, which does not exist", ref.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading core Secret %s: %w", ref.Name, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(source.Data[ref.Key]) {
		return nil, invalid(v1alpha1.ReasonTLSFailed, "spec.rotation: key %s of core Secret %s, which caSecretRef names, holds no certificate in PEM", ref.Key, ref.Name)
	}
	return roots, nil
}
