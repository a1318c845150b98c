package environment

import (
	"context"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers"
	"strongroom.dev/strongroom/controllers/certificate"
	"strongroom.dev/strongroom/controllers/certificateauthority"
	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/controllers/iamgroup"
	"strongroom.dev/strongroom/controllers/iampolicy"
	"strongroom.dev/strongroom/controllers/iamrole"
	"strongroom.dev/strongroom/controllers/iamuser"
	"strongroom.dev/strongroom/controllers/keyring"
	"strongroom.dev/strongroom/controllers/kmsgrant"
	"strongroom.dev/strongroom/controllers/kmskey"
	"strongroom.dev/strongroom/controllers/parameter"
	"strongroom.dev/strongroom/controllers/parametertree"
	"strongroom.dev/strongroom/controllers/secret"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/unseal"
)

// Reconcilers are the controllers of an operator without a running controller, for tests that call Reconcile.
type Reconcilers struct {
	*Operator
	Events    *events.FakeRecorder
	Secret    *secret.Reconciler
	Parameter *parameter.Reconciler
	KMSKey    *kmskey.Reconciler

	ParameterTree *parametertree.Reconciler

	Certificate          *certificate.Reconciler
	CertificateAuthority *certificateauthority.Reconciler

	Envelope  *envelope.Reconciler
	IAMGroup  *iamgroup.Reconciler
	IAMPolicy *iampolicy.Reconciler
	IAMRole   *iamrole.Reconciler
	IAMUser   *iamuser.Reconciler
	KMSGrant  *kmsgrant.Reconciler
	Keyring   *keyring.Reconciler
}

// RunReconcilers starts an operator without controllers and makes its reconcilers.
func RunReconcilers(ctx context.Context, cp *ControlPlane) (*Reconcilers, error) {
	op, err := RunOperator(ctx, cp.Config, operator.Options{WithoutControllers: true, SQLServerRotation: true})
	if err != nil {
		return nil, err
	}
	recorder := events.NewFakeRecorder(1000)
	return &Reconcilers{
		Operator: op, Events: recorder,
		Secret:    controllers.NewSecret(op.Services, recorder),
		Parameter: controllers.NewParameter(op.Services, recorder),
		KMSKey:    controllers.NewKMSKey(op.Services, recorder),

		ParameterTree: controllers.NewParameterTree(op.Services, recorder),

		Certificate:          controllers.NewCertificate(op.Services, recorder),
		CertificateAuthority: controllers.NewCertificateAuthority(op.Services, recorder),

		Envelope:  controllers.NewEnvelope(op.Services),
		IAMGroup:  controllers.NewIAMGroup(op.Services, recorder),
		IAMPolicy: controllers.NewIAMPolicy(op.Services, recorder),
		IAMRole:   controllers.NewIAMRole(op.Services, recorder),
		IAMUser:   controllers.NewIAMUser(op.Services, recorder),
		Keyring:   controllers.NewKeyring(op.Services, recorder),
		KMSGrant:  controllers.NewKMSGrant(op.Services, recorder),
	}, nil
}

// Request is a reconciliation of an object.
func Request(obj client.Object) ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)}
}

// SweepOnce has the controller of Envelopes make one pass over those of an object.
func (r *Reconcilers) SweepOnce(ctx context.Context, kind, namespace, name string) error {
	_, err := r.Envelope.Reconcile(ctx, envelope.Owner{Kind: kind, Namespace: namespace, Name: name})
	return err
}

// DrainEvents returns the events so far.
func (r *Reconcilers) DrainEvents() []string {
	var out []string
	for {
		select {
		case e := <-r.Events.Events:
			out = append(out, e)
		default:
			return out
		}
	}
}

var namespaces atomic.Int64

// NewNamespace creates a namespace of a new name.
func (cp *ControlPlane) NewNamespace(ctx context.Context) (string, error) {
	name := fmt.Sprintf("test-%d", namespaces.Add(1))
	return name, cp.Namespace(ctx, name, nil)
}

// KMSKey is a key to create. Change what a test is about.
func KMSKey(namespace, name string, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	for _, change := range changes {
		change(key)
	}
	return key
}

// Secret is a secret to create: a generated password, encrypted under the key "key", shown in a core Secret of its own
// name. Change what a test is about.
func Secret(namespace, name string, changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
	s := &v1alpha1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SecretSpec{
			KMSKeyRef: &v1alpha1.LocalReference{Name: "key"},
			Generate:  &v1alpha1.SecretGenerator{Password: &v1alpha1.PasswordGenerator{}},
			Target:    &v1alpha1.SecretTarget{},
		},
	}
	for _, change := range changes {
		change(s)
	}
	return s
}

// Parameter is a parameter to create: a String, shown in a ConfigMap of its own name. Change what a test is about.
func Parameter(namespace, name string, changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
	p := &v1alpha1.Parameter{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ParameterSpec{
			Type: v1alpha1.ParameterString, Value: "info",
			Target: &v1alpha1.ParameterTarget{ConfigMap: &v1alpha1.ParameterTargetKey{Key: "LOG_LEVEL"}},
		},
	}
	for _, change := range changes {
		change(p)
	}
	return p
}

// ParameterTree is a tree to create: all below a path, shown in a ConfigMap of its own name. Change what a test is about.
func ParameterTree(namespace, name, path string, changes ...func(*v1alpha1.ParameterTree)) *v1alpha1.ParameterTree {
	t := &v1alpha1.ParameterTree{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ParameterTreeSpec{
			Path: path, Recursive: true, Target: v1alpha1.ParameterTreeTarget{ConfigMap: &v1alpha1.ParameterTreeConfigMap{}},
		},
	}
	for _, change := range changes {
		change(t)
	}
	return t
}

// NamespaceObject is an empty Namespace to read into.
func NamespaceObject() *corev1.Namespace { return &corev1.Namespace{} }

// RootSecret names the core Secret of the root of trust.
func RootSecret() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: OperatorNamespace, Name: unseal.RootSecretName}}
}
