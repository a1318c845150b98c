package rotation

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/function"
	"strongroom.dev/strongroom/internal/fault"
)

// defaultPort is where the runtime interface emulator listens.
const defaultPort = 8080

// +kubebuilder:rbac:groups="",resources=services,verbs=get

// Invoke has the rotation function of a secret carry out a step, for the version of an id. It calls nothing but a Service of the secret's
// namespace, at one path, and none of type ExternalName, which would be any host that the operator can reach. Errors are faults.
func (s *Service) Invoke(ctx context.Context, r *Rotation, step rotation.Step, versionID string) error {
	f := r.Secret.Spec.Rotation.ByFunction()
	endpoint, err := s.endpoint(ctx, r.Secret.Namespace, f)
	if err != nil {
		return err
	}
	err = endpoint.Invoke(ctx, &function.Event{
		Step: step, SecretID: r.ARN, ClientRequestToken: versionID, RotationToken: uuid.NewString(),
	})
	switch {
	case errors.Is(err, rotation.ErrUnreachable):
		return fault.Waiting(v1alpha1.ReasonFunctionUnreachable, err)
	case errors.Is(err, function.ErrFunction):
		return fault.Waiting(v1alpha1.ReasonFunctionFailed, err)
	}
	return faultOf(err)
}

// endpoint finds a function. The Service is read live and by name, as those are not cached.
func (s *Service) endpoint(ctx context.Context, namespace string, f *v1alpha1.FunctionRotator) (*function.Endpoint, error) {
	service := &corev1.Service{}
	err := s.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: f.ServiceRef.Name}, service)
	if apierrors.IsNotFound(err) {
		return nil, invalid(v1alpha1.ReasonFunctionNotFound, "spec.rotation.function: Service %s does not exist", f.ServiceRef.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading Service %s: %w", f.ServiceRef.Name, err)
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return nil, invalid(v1alpha1.ReasonFunctionNotFound, "spec.rotation.function: Service %s is of type ExternalName, which is not called: "+
			"give the function a Service of its own", f.ServiceRef.Name)
	}
	port, host := f.Port, f.ServiceRef.Name+"."+namespace+".svc"
	if port == 0 {
		port = defaultPort
	}
	out := &function.Endpoint{Address: net.JoinHostPort(host, strconv.Itoa(int(port))), Dial: s.Dial}
	if f.TLS != nil {
		roots, err := s.authorities(ctx, namespace, &f.TLS.CASecretRef)
		if err != nil {
			return nil, err
		}
		out.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: roots}
	}
	return out, nil
}
