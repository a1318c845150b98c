// Package rotation carries out the four steps of a rotation over the stored versions of a Secret: it reads them, the admin's Secret and
// the certificates that spec names, and hands them to the rotator.
package rotation

import (
	"context"
	"errors"
	"fmt"
	"net"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// Service makes rotators.
type Service struct {
	// Secrets reads versions.
	Secrets *secretsmanager.Service
	// Client finds admins' Secrets in the cache; Live reads core Secrets, which are not all cached.
	Client, Live client.Reader
	// Jobs reads Jobs of rotations from the cache, and writes them.
	Jobs client.Client
	// SQLServer lets Secrets rotate credentials of SQL Server.
	SQLServer bool
	// Dial connects to rotation functions; a net.Dialer's if nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Rotator carries out the steps that concern the server a secret is for. createSecret is half its own: it derives the value, which the
// caller stores; finishSecret is the caller's. Each may be repeated. Errors are faults.
type Rotator interface {
	// Create derives the next value from the current one. The caller wipes it.
	Create(ctx context.Context, r *Rotation) (secretbytes.Bytes, error)
	// Set makes the pending version good.
	Set(ctx context.Context, r *Rotation) (rotation.Outcome, error)
	// Test proves that it is, and says what its user is known by: status.rotationTest.passedUser.
	Test(ctx context.Context, r *Rotation) (user string, err error)
	// Verify proves that the version in force is good, and that the next one could be brought in, and says what its user is known by. It changes nothing.
	Verify(ctx context.Context, r *Rotation) (user string, err error)
}

// Rotation is one secret's, at a step.
type Rotation struct {
	Secret *v1alpha1.Secret
	// ARN and Index of the secret, which status may not have yet.
	ARN   string
	Index versions.Index
}

// Of is the built-in rotator of a secret, nil if its value needs none. It is right for one pass.
func (s *Service) Of(secret *v1alpha1.Secret) Rotator {
	if secret.Spec.Rotation.Database() != nil {
		return &database{Service: s}
	}
	return nil
}

// reasons of the rotators' causes. Those which only somebody's change mends are tried again all the same, for that change may be
// at the server.
var reasons = []struct {
	cause  error
	reason string
}{
	{rotation.ErrDrift, v1alpha1.ReasonCredentialDrift},
	{rotation.ErrInvalid, v1alpha1.ReasonInvalidCredential},
	{rotation.ErrUnreachable, v1alpha1.ReasonDatabaseUnreachable},
	{rotation.ErrTLS, v1alpha1.ReasonTLSFailed},
	{rotation.ErrRefused, v1alpha1.ReasonLoginRefused},
	{rotation.ErrPermission, v1alpha1.ReasonPermissionDenied},
	{rotation.ErrPassword, v1alpha1.ReasonPasswordRefused},
	{rotation.ErrServer, v1alpha1.ReasonRotatorFailed},
}

// faultOf gives a rotator's error its reason. Others are faults already.
func faultOf(err error) error {
	for _, r := range reasons {
		if errors.Is(err, r.cause) {
			return fault.Waiting(r.reason, err)
		}
	}
	return err
}

// invalid is a fault of what the user wrote.
func invalid(reason, format string, args ...any) error {
	return fault.Waiting(reason, fmt.Errorf(format, args...))
}
