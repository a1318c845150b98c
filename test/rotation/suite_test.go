// Package rotation_test rotates the credentials of real databases by the Secret controller over a real API server.
package rotation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/secret"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/databases"
	"strongroom.dev/strongroom/test/environment"
)

func TestRotation(t *testing.T) {
	environment.Specs(t, "Rotation of databases")
}

var (
	ctx    = context.Background()
	world  *environment.World
	server *databases.Postgres
	users  int
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	startDatabases()
	server = postgreSQL.server.(*databases.Postgres)
})

var _ = BeforeEach(func() {
	world.Fresh()
	world.ReadyKey("key")
	use(postgreSQL)
	users++
})

// username is the spec's own.
func username() string { return fmt.Sprintf("shop%d", users) }

// through names the server by its proxy.
func through() uint16 { return db.proxy.Port }

// put makes a Secret that holds a credential.
func put(name string, port uint16, user, password string) *v1alpha1.Secret {
	GinkgoHelper()
	value, err := json.Marshal(map[string]any{"host": databases.Host, "port": port, "username": user, "password": password})
	Expect(err).NotTo(HaveOccurred())
	core(name+"-source", "value", value)
	s := environment.Secret(world.Namespace, name, func(s *v1alpha1.Secret) {
		s.Spec.Generate, s.Spec.Target = nil, nil
		s.Spec.ValueFrom = &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: name + "-source", Key: "value"}}
	})
	world.Create(s)
	reconcile(s)
	Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))
	return s
}

// core makes a core Secret, which the operator's cache does not keep.
func core(name, key string, value []byte) {
	GinkgoHelper()
	Expect(world.ControlPlane.Client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}, Data: map[string][]byte{key: value},
	})).To(Succeed())
}

// credential is a Secret of a user of the database in use, with an admin and the server's certificate.
func credential(strategy v1alpha1.RotationStrategy, changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
	GinkgoHelper()
	put("db-admin", through(), db.admin, db.password)
	core("db-ca", "ca.crt", db.ca)
	s := environment.Secret(world.Namespace, "db", func(s *v1alpha1.Secret) {
		s.Spec.Generate = &v1alpha1.SecretGenerator{JSON: &v1alpha1.JSONGenerator{
			Template: fmt.Sprintf(`{"engine":%q,"host":%q,"port":%d,"dbname":"shop","username":%q}`, db.engine, databases.Host, through(), username()),
			Key:      "password", Password: &v1alpha1.PasswordGenerator{Length: 24, ExcludeCharacters: `/@"'\`},
		}}
		s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "cron(0 3 ? * * *)", Duration: "2h", Strategy: strategy}
		*db.rotator(s.Spec.Rotation) = &v1alpha1.DatabaseRotator{
			AdminSecretRef: &v1alpha1.LocalReference{Name: "db-admin"},
			TLS: &v1alpha1.DatabaseTLS{
				Mode: v1alpha1.DatabaseTLSVerifyFull, CASecretRef: &v1alpha1.SecretKeyReference{Name: "db-ca", Key: "ca.crt"},
			},
		}
	})
	for _, change := range changes {
		change(s)
	}
	world.Create(s)
	return s
}

// reconcile makes one pass and reads the Secret again.
func reconcile(s *v1alpha1.Secret) ctrl.Result {
	GinkgoHelper()
	result, err := world.Secret.Reconcile(ctx, environment.Request(s))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(s)
	world.Seen(s)
	return result
}

// ask asks for a rotation.
func ask(s *v1alpha1.Secret, token string) {
	GinkgoHelper()
	world.Update(s, func() { metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.RotateAnnotation, token) })
}

// try makes one pass that may fail.
func try(r *secret.Reconciler, s *v1alpha1.Secret) error {
	GinkgoHelper()
	_, err := r.Reconcile(ctx, environment.Request(s))
	world.Refresh(s)
	world.Seen(s)
	return err
}

func ready(s *v1alpha1.Secret) *metav1.Condition {
	return meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
}

func failing(s *v1alpha1.Secret) *metav1.Condition {
	return meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionRotationFailing)
}

// login is what a workload does with a credential.
type login struct {
	Username, Password string
}

// projected is the credential that workloads hold.
func projected(s *v1alpha1.Secret) login {
	GinkgoHelper()
	target := &corev1.Secret{}
	Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.Name}, target)).To(Succeed())
	return login{string(target.Data["username"]), string(target.Data["password"])}
}

// stored are the credentials of all versions, the newest first, which is the one that logs in most likely, and by stage too.
func stored(s *v1alpha1.Secret) (all []login, byStage map[string]login) {
	GinkgoHelper()
	byStage = map[string]login{}
	for _, v := range slices.Backward(secretsmanager.IndexOf(s)) {
		value, err := world.Services.Secrets.Versions().Value(ctx, world.Services.Secrets.SubjectOf(s), v)
		Expect(err).NotTo(HaveOccurred())
		var l login
		Expect(json.Unmarshal(value.Reveal(), &l)).To(Succeed())
		all = append(all, l)
		for _, stage := range v.Stages {
			byStage[stage] = l
		}
	}
	return all, byStage
}

// opens says whether a credential logs in, past the proxy.
func opens(l login) error { return db.server.Opens(ctx, l.Username, l.Password) }
