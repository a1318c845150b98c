package projection_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/projection"
)

var yes = true

// controlledBy makes a core Secret somebody's by UID.
func controlledBy(kind, name string, uid types.UID) func(*corev1.Secret) {
	return func(s *corev1.Secret) {
		api := "example.com/v1"
		if kind == "Secret" {
			api = "strongroom.dev/v1alpha1"
		}
		s.OwnerReferences = []metav1.OwnerReference{{APIVersion: api, Kind: kind, Name: name, UID: uid, Controller: &yes}}
	}
}

var owner = projection.Owner{Name: "db", UID: "mine", ARN: "arn:db"}

func showing(arn string) func(*corev1.Secret) {
	return func(s *corev1.Secret) { s.Annotations = map[string]string{v1alpha1.SubjectAnnotation: arn} }
}

func TestWhoseACoreSecretIs(t *testing.T) {
	none := func(*corev1.Secret) {}
	tests := []struct {
		name            string
		policy          v1alpha1.CreationPolicy
		owned, annotate func(*corev1.Secret)
		secretType      corev1.SecretType
		want            projection.Verdict
		says            string
	}{
		{"ours by controller", "", controlledBy("Secret", "db", "mine"), showing("arn:db"), "Opaque", projection.Ours, ""},
		{"ours though the annotation was taken off", "", controlledBy("Secret", "db", "mine"), none, "Opaque", projection.Ours, ""},
		{"ours by ARN, its controller forgotten", "", none, showing("arn:db"), "Opaque", projection.Ours, ""},
		{"ours by ARN, of an earlier incarnation", "", controlledBy("Secret", "db", "former"), showing("arn:db"), "Opaque", projection.Ours, ""},
		{"of an earlier incarnation that was another secret", "", controlledBy("Secret", "db", "former"), showing("arn:old"), "Opaque", projection.Foreign, "Secret db controls it"},
		{"of another Secret with our ARN copied", "", controlledBy("Secret", "thief", "other"), showing("arn:db"), "Opaque", projection.Foreign, "Secret thief"},
		{"nobody's", "", none, none, "Opaque", projection.Foreign, "kubectl made it"},
		{"nobody's, to adopt", v1alpha1.CreationPolicyAdopt, none, none, "Opaque", projection.Ours, ""},
		{"another controller's, to adopt", v1alpha1.CreationPolicyAdopt, controlledBy("Widget", "w", "w"), none, "Opaque", projection.Foreign, "Widget w"},
		{"another controller's, to merge into", v1alpha1.CreationPolicyMerge, controlledBy("Widget", "w", "w"), none, "Opaque", projection.Ours, ""},
		{"of any type, to merge into", v1alpha1.CreationPolicyMerge, none, none, "x", projection.Ours, ""},
		{"ours of another type", "", controlledBy("Secret", "db", "mine"), showing("arn:db"), "x", projection.OtherType, "delete it"},
		{"of another type, to adopt", v1alpha1.CreationPolicyAdopt, none, none, "x", projection.OtherType, "Opaque"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			existing := &corev1.Secret{Type: tt.secretType, ObjectMeta: metav1.ObjectMeta{
				ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}, {Manager: "kubectl"}},
			}}
			tt.owned(existing)
			tt.annotate(existing)
			target := &projection.Target{Name: "db", Policy: tt.policy, Owner: owner}
			got, why := projection.Judge(target, existing)
			if got != tt.want || !strings.Contains(why, tt.says) {
				t.Errorf("%d: %q", got, why)
			}
			target.Whole = true // a Certificate's, whose creationPolicy cannot be Merge
			if whole, says := projection.Judge(target, existing); whole != got || strings.Contains(says, "Merge") {
				t.Errorf("%d: %q proposes what is refused", whole, says)
			}
		})
	}
}

func TestWhenAProjectionIsInSync(t *testing.T) {
	digester := projection.NewDigester()
	target := &projection.Target{
		Name: "db", Owner: owner, FormerKeys: []string{"password", "former"},
		Data: map[string]secretbytes.Bytes{"password": secretbytes.Copy([]byte("v"))},
	}
	tests := []struct {
		name   string
		change func(*corev1.Secret)
		want   bool
	}{
		{"as it was written", func(*corev1.Secret) {}, true},
		{"with a key of somebody else's", func(s *corev1.Secret) { s.Data["theirs"] = []byte("x") }, true},
		{"with another value", func(s *corev1.Secret) { s.Data["password"] = []byte("x") }, false},
		{"without its value", func(s *corev1.Secret) { delete(s.Data, "password") }, false},
		{"with a key that is no longer wanted", func(s *corev1.Secret) { s.Data["former"] = []byte("x") }, false},
		{"without its label", func(s *corev1.Secret) { s.Labels = nil }, false},
		{"with the label of a source", func(s *corev1.Secret) { s.Labels[v1alpha1.ManagedLabel] = v1alpha1.ManagedSource }, false},
		{"with another ARN", func(s *corev1.Secret) { showing("arn:x")(s) }, false},
		{"without its owner", func(s *corev1.Secret) { s.OwnerReferences = nil }, false},
		{"with its former owner", func(s *corev1.Secret) { controlledBy("Secret", "db", "former")(s) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cached := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedProjection}},
				Data:       map[string][]byte{"password": digester.Digest("password", []byte("v"))},
			}
			controlledBy("Secret", "db", "mine")(cached)
			showing("arn:db")(cached)
			tt.change(cached)
			if got := projection.InSync(target, cached, digester.Digest); got != tt.want {
				t.Errorf("in sync: %t", got)
			}
		})
	}
}

func TestFieldOwnersAreShortAndEachTheirOwn(t *testing.T) {
	long := projection.FieldOwner("projection", strings.Repeat("x", 253))
	if len(long) > 128 || long == projection.FieldOwner("projection", "y") || long == projection.FieldOwner("restart", strings.Repeat("x", 253)) {
		t.Error(long)
	}
	if key := projection.AnnotationKey(strings.Repeat("x", 253)); len(strings.SplitN(key, "/", 2)[1]) > 63 {
		t.Error(key)
	}
}
