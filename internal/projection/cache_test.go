package projection_test

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/internal/projection"
)

func coreSecret() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Annotations: map[string]string{
				"kubectl.kubernetes.io/last-applied-configuration": `{"data":{"password":"aHVudGVyMg=="}}`, "keep": "1",
			},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}},
		},
		Data: map[string][]byte{"password": []byte("hunter2"), "empty": {}},
	}
}

func TestTheCacheKeepsDigestsAndNoValues(t *testing.T) {
	d := projection.NewDigester()
	source := coreSecret()
	value := source.Data["password"]
	out, err := d.Transform()(source)
	if err != nil {
		t.Fatal(err)
	}
	cached := out.(*corev1.Secret)
	if !bytes.Equal(cached.Data["password"], d.Digest("password", []byte("hunter2"))) {
		t.Error("the value is not its digest")
	}
	if bytes.Contains(value, []byte("hunter2")) {
		t.Error("the value is still in memory")
	}
	if len(cached.ManagedFields) != 0 || len(cached.Annotations) != 1 {
		t.Errorf("left: %v, %v", cached.ManagedFields, cached.Annotations)
	}
}

func TestTransformingTwiceIsTransformingOnce(t *testing.T) {
	d := projection.NewDigester()
	once, _ := d.Transform()(coreSecret())
	first := bytes.Clone(once.(*corev1.Secret).Data["password"])
	twice, _ := d.Transform()(once)
	if !bytes.Equal(first, twice.(*corev1.Secret).Data["password"]) {
		t.Error("a digest was digested")
	}
}

func TestDigestsDifferByKeyValueAndProcess(t *testing.T) {
	d := projection.NewDigester()
	digest := d.Digest("k", []byte("v"))
	for name, other := range map[string][]byte{
		"another value":   d.Digest("k", []byte("w")),
		"another key":     d.Digest("l", []byte("v")),
		"another process": projection.NewDigester().Digest("k", []byte("v")),
		"a moved border":  d.Digest("kv", nil),
	} {
		if bytes.Equal(digest, other) {
			t.Errorf("%s has the same digest", name)
		}
	}
	if !bytes.Equal(digest, d.Digest("k", []byte("v"))) {
		t.Error("the same has another digest")
	}
}

func TestAnythingElseInTheCacheIsLeftAlone(t *testing.T) {
	in := &corev1.ConfigMap{Data: map[string]string{"a": "b"}}
	if out, err := projection.NewDigester().Transform()(in); err != nil || out != any(in) {
		t.Errorf("%v, %v", out, err)
	}
}
