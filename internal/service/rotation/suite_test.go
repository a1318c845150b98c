package rotation_test

import (
	"context"
	"encoding/json"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/rotation"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/databases"
	"strongroom.dev/strongroom/test/environment"
)

func TestRotators(t *testing.T) {
	environment.Specs(t, "Rotators over the stored versions of a Secret")
}

var (
	ctx    = context.Background()
	world  *environment.World
	server *databases.Postgres
	key    *v1alpha1.KMSKey
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	var err error
	server, err = databases.StartPostgres(ctx)
	Expect(err).NotTo(HaveOccurred(), "hack/databases.sh installs what it needs")
	DeferCleanup(func() { Expect(server.Stop()).To(Succeed()) })
})

var _ = BeforeEach(func() {
	world.Fresh()
	key = world.ReadyKey("key")
})

// service is the rotators over the world's cache and API server.
func service() *rotation.Service {
	w := world.Secret.Rotations
	return &rotation.Service{Secrets: w.Secrets, Client: w.Client, Live: w.Live, Jobs: w.Jobs, SQLServer: w.SQLServer}
}

// secret is a Secret with no value, which PostgreSQL's rotator rotates.
func secret(name string, changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
	GinkgoHelper()
	s := environment.Secret(world.Namespace, name, func(s *v1alpha1.Secret) {
		s.Spec.Generate, s.Spec.Target = nil, nil
		s.Spec.Rotation = &v1alpha1.SecretRotation{Enabled: new(bool), Postgres: &v1alpha1.DatabaseRotator{TLS: &v1alpha1.DatabaseTLS{Mode: v1alpha1.DatabaseTLSRequire}}}
	})
	for _, change := range changes {
		change(s)
	}
	world.Create(s)
	_, err := world.Secret.Reconcile(ctx, environment.Request(s)) // gives it an ARN
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(s)
	world.Seen(s)
	return s
}

// put stores a version under a stage.
func put(s *v1alpha1.Secret, stage, value string) {
	GinkgoHelper()
	id := metav1.Now().Format("20060102150405.000000000") + "-" + stage + "-xxxxxxxx"
	_, err := world.Services.Secrets.PutValue(ctx, secretsmanager.PutValueInput{
		Secret: s, Key: key, Token: id, Value: secretsmanager.Value{Bytes: secretbytes.Copy([]byte(value))}, Stages: []string{stage},
	})
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(s)
	world.Seen(s)
}

// value is the credential of a user of the server; members change it.
func value(user, password string, members ...func(map[string]any)) string {
	GinkgoHelper()
	all := map[string]any{"engine": "postgres", "host": databases.Host, "port": server.Port, "dbname": "postgres", "username": user, "password": password}
	for _, change := range members {
		change(all)
	}
	text, err := json.Marshal(all)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// of is a step of a Secret.
func of(s *v1alpha1.Secret) *rotation.Rotation {
	return &rotation.Rotation{Secret: s, ARN: s.Status.ARN, Index: secretsmanager.IndexOf(s)}
}

// fails expects a fault of a reason whose message says this much and never a password.
func fails(err error, reason string, says ...string) {
	GinkgoHelper()
	Expect(err).To(HaveOccurred())
	Expect(fault.Of(err).Reason).To(Equal(reason), "%v", err)
	for _, text := range says {
		Expect(fault.Message(err)).To(ContainSubstring(text))
	}
	for _, hidden := range []string{"chosen", "hunter2", server.Password} {
		Expect(err.Error()).NotTo(ContainSubstring(hidden))
	}
}

// core makes a core Secret.
func core(name, key, value string) {
	GinkgoHelper()
	Expect(world.ControlPlane.Client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}, Data: map[string][]byte{key: []byte(value)},
	})).To(Succeed())
}
