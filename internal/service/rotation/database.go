package rotation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/generate"
	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/mongodb"
	"strongroom.dev/strongroom/internal/core/rotation/mysql"
	"strongroom.dev/strongroom/internal/core/rotation/postgres"
	"strongroom.dev/strongroom/internal/core/rotation/redis"
	"strongroom.dev/strongroom/internal/core/rotation/sqlserver"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
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
	err = d.with(ctx, r, versions.Pending, func(rotator *rotation.Database, stored *rotation.Stored) error {
		out, err = rotator.Set(ctx, stored)
		return err
	})
	return out, err
}

func (d *database) Test(ctx context.Context, r *Rotation) (user string, err error) {
	err = d.with(ctx, r, versions.Pending, func(rotator *rotation.Database, stored *rotation.Stored) error {
		if err := rotator.Test(ctx, stored); err != nil {
			return err
		}
		user, err = d.user(r, rotator, stored.Pending)
		return err
	})
	return user, err
}

func (d *database) Verify(ctx context.Context, r *Rotation) (user string, err error) {
	err = d.with(ctx, r, versions.Current, func(rotator *rotation.Database, stored *rotation.Stored) error {
		if err := rotator.Verify(ctx, stored); err != nil {
			return err
		}
		user, err = d.user(r, rotator, stored.Current)
		return err
	})
	return user, err
}

// user is what a user is known by in status: a digest that tells nobody anything of it.
func (d *database) user(r *Rotation, rotator *rotation.Database, c *rotation.Credential) (string, error) {
	ring, err := d.Secrets.Versions().Keyring.Get()
	if err != nil {
		return "", err
	}
	parts := [][]byte{[]byte(r.ARN)}
	for _, part := range rotator.User(c) {
		parts = append(parts, []byte(part))
	}
	return ring.Digest("rotation-user", parts...), nil
}

// own tells whether the user of a version is the secret's, whatever logs in: spec.generate names it, or it is the one that logged in last.
func (d *database) own(r *Rotation, rotator *rotation.Database, c *rotation.Credential) (bool, error) {
	if g := r.Secret.Spec.Generate; g != nil && g.JSON != nil {
		named, ok := rotation.Named(g.JSON.Template, g.JSON.Key)
		defer named.Wipe()
		if ok && slices.Equal(rotator.User(named), rotator.User(c)) {
			return true, nil
		}
	}
	test := r.Secret.Status.RotationTest
	if test == nil || test.PassedUser == "" {
		return false, nil
	}
	user, err := d.user(r, rotator, c)
	return user == test.PassedUser, err
}

// outdated tells of a first version that is still to be set whether spec.generate says another one by now.
func (d *database) outdated(ctx context.Context, r *Rotation, rotator *rotation.Database) (bool, error) {
	g := r.Secret.Spec.Generate
	if _, has := r.Index.ByStage(versions.Current); has || g == nil || g.JSON == nil {
		return false, nil
	}
	value, err := d.value(ctx, r, versions.Pending)
	if err != nil {
		return false, err
	}
	defer value.Wipe()
	return !rotator.Follows(value, g.JSON.Template), nil
}

// with reads what is stored for as long as f runs. The version that the step is about is the one of a stage.
func (d *database) with(ctx context.Context, r *Rotation, stage string, f func(*rotation.Database, *rotation.Stored) error) error {
	rotator, err := d.rotator(ctx, r)
	if err != nil {
		return err
	}
	stored, err := d.stored(ctx, r, stage)
	if err == nil {
		stored.Own, err = d.own(r, rotator, stored.Pending)
	}
	if err == nil {
		stored.Outdated, err = d.outdated(ctx, r, rotator)
	}
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
	if spec.SQLServer != nil && !d.SQLServer {
		return nil, fault.Stalled(v1alpha1.ReasonUnsupportedOperation, errSQLServerOff)
	}
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

// errSQLServerOff: the driver allocates what a server says that it sends, up to gigabytes, so that whoever may write a Secret could end the manager by a
// server of their own.
var errSQLServerOff = errors.New("rotation of SQL Server is turned off: whoever runs the manager turns it on with --sqlserver-rotation, where all who may write Secrets are trusted with it")

// engine is what spec names.
func engine(spec *v1alpha1.SecretRotation, protection rotation.TLS) rotation.Engine {
	switch {
	case spec.MySQL != nil:
		return mysql.Engine{TLS: protection}
	case spec.Redis != nil:
		return redis.Engine{TLS: protection}
	case spec.MongoDB != nil:
		return mongodb.Engine{TLS: protection}
	case spec.SQLServer != nil:
		return sqlserver.Engine{TLS: protection}
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
func (d *database) stored(ctx context.Context, r *Rotation, stage string) (out rotation.Stored, err error) {
	if out.Pending, err = d.version(ctx, r, stage); err != nil {
		return out, err
	}
	if out.Current, err = d.versionIfAny(ctx, r, versions.Current); err != nil {
		return out, err
	}
	// The former version is a way to log in if nothing else does: one that is no credential is none, and holds nothing up.
	if out.Previous, err = d.versionIfAny(ctx, r, versions.Previous); err != nil && !errors.Is(err, rotation.ErrInvalid) {
		return out, err
	}
	ref := r.Secret.Spec.Rotation.Database().AdminSecretRef
	if ref == nil {
		return out, nil
	}
	out.Admin, err = d.admin(ctx, r.Secret.Namespace, ref.Name)
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
	value, err := d.value(ctx, r, stage)
	if err != nil {
		return nil, err
	}
	defer value.Wipe()
	c, err := rotation.Parse(value, passwordKey(r.Secret))
	if err == nil {
		return c, nil
	}
	v, _ := r.Index.ByStage(stage)
	if _, has := r.Index.ByStage(versions.Current); has && stage == versions.Pending { // the current one is what another is derived from
		err = errors.Join(err, rotation.ErrForeign)
	}
	return nil, invalid(v1alpha1.ReasonInvalidCredential, "version %s (%s): %w", v.ID, stage, err)
}

// value reads what the version holds that has a stage. The caller wipes it.
func (d *database) value(ctx context.Context, r *Rotation, stage string) (secretbytes.Bytes, error) {
	v, has := r.Index.ByStage(stage)
	if !has {
		return secretbytes.Bytes{}, fmt.Errorf("no version holds %s", stage)
	}
	of := d.Secrets.SubjectOf(r.Secret)
	of.ARN = r.ARN
	return d.Secrets.Versions().Value(ctx, of, v)
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
