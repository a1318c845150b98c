package account_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/arn"
)

func namespace(name, id string, age time.Duration) client.Object {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1_800_000_000, 0).Add(-age)),
	}}
	if id != "" {
		n.Labels = map[string]string{v1alpha1.AccountIDLabel: id}
	}
	return n
}

func TestAnAccountIsTheOldestNamespacesOfItsID(t *testing.T) {
	derived := arn.DeriveAccount("derived")
	reader := fake.NewClientBuilder().WithIndex(&corev1.Namespace{}, account.IDIndex, account.Index).WithObjects(
		namespace("old", "123456789012", time.Hour), namespace("young", "123456789012", 0),
		namespace("a", "210987654321", 0), namespace("b", "210987654321", 0),
		namespace("derived", "", 0), namespace("thief", derived, 0), namespace("bad", "12", 0),
	).Build()
	tests := []struct {
		namespace, id string
		err           error
		says          string
	}{
		{"old", "123456789012", nil, ""},
		{"young", "", account.ErrConflict, "namespace old"},
		{"a", "210987654321", nil, ""},
		{"b", "", account.ErrConflict, "namespace a"},
		{"derived", derived, nil, ""},
		{"thief", "", account.ErrConflict, "namespace derived"},
		{"bad", "", account.ErrInvalid, "12 decimal digits"},
		{"missing", "", nil, "missing"},
	}
	for _, tt := range tests {
		id, err := account.Resolve(context.Background(), reader, tt.namespace)
		if id != tt.id || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v", tt.namespace, id, err)
		}
		if tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v does not say %q", tt.namespace, err, tt.says)
		}
	}
}

func TestOnlyNamespacesAreIndexed(t *testing.T) {
	if got := account.Index(&corev1.ConfigMap{}); got != nil {
		t.Errorf("%v", got)
	}
}
