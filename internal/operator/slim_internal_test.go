package operator

import (
	"reflect"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestTheCacheLeavesOutWhatNobodyLooksAt(t *testing.T) {
	meta := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Name: "db", Namespace: "shop", UID: "u", ResourceVersion: "7", Generation: 3,
			Annotations:   map[string]string{corev1.LastAppliedConfigAnnotation: "{}", v1alpha1.RotateAnnotation: "now"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		}
	}
	secret := &v1alpha1.Secret{ObjectMeta: meta(), Spec: v1alpha1.SecretSpec{Name: "prod/db"}, Status: v1alpha1.SecretStatus{
		Conditions: []metav1.Condition{{Type: string([]byte("Ready")), Status: "True", Reason: "Succeeded", Message: "of its own"}},
		Versions:   []v1alpha1.SecretVersion{{VersionID: "v", Stages: []string{"AWSCURRENT", "own"}}},
	}}
	want := secret.DeepCopy()
	want.ManagedFields, want.Annotations = nil, map[string]string{v1alpha1.RotateAnnotation: "now"}
	for range 2 { // informers that begin with a streamed list transform twice
		got, err := slim(secret)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v", got, err)
		}
	}

	envelope := &v1alpha1.Envelope{ObjectMeta: meta(), Spec: v1alpha1.EnvelopeSpec{
		Class: v1alpha1.EnvelopeSecretVersion, Owner: v1alpha1.EnvelopeOwner{Kind: "Secret", Name: "db"}, Stages: []string{"AWSCURRENT"},
		Ciphertext: []byte("c"), EncryptedDataKey: []byte("k"),
	}}
	wantEnvelope := envelope.DeepCopy()
	wantEnvelope.ManagedFields = nil
	if got, err := slim(envelope); err != nil || !reflect.DeepEqual(got, wantEnvelope) {
		t.Errorf("%+v, %v", got, err)
	}

	if got, err := slim(&corev1.Namespace{ObjectMeta: meta()}); err != nil || got.(*corev1.Namespace).ManagedFields != nil {
		t.Errorf("any other kind: %v, %v", got, err)
	}
}

func TestAnAnnotationOfKubectlAloneLeavesNone(t *testing.T) {
	got, err := slim(&v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}"}}})
	if err != nil || got.(*v1alpha1.Secret).Annotations != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// Anybody can put the label on any Job.
func TestOfAJobTheCacheKeepsWhoseItIsAndHowItEndedAlone(t *testing.T) {
	yes, deadline := true, int64(600)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: "j", Namespace: "shop", UID: "u", ResourceVersion: "7", CreationTimestamp: metav1.Unix(1, 0), Labels: map[string]string{"a": "b"},
			Annotations: map[string]string{"large": "x"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Other", UID: "o"}, {Kind: "Secret", UID: "s", Controller: &yes}},
		},
		Spec: batchv1.JobSpec{ActiveDeadlineSeconds: &deadline, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{ServiceAccountName: "a"}}},
		Status: batchv1.JobStatus{Active: 1, Conditions: []batchv1.JobCondition{
			{Type: batchv1.JobFailureTarget, Status: "True"}, {Type: batchv1.JobFailed, Status: "True", Reason: "DeadlineExceeded", Message: "large"},
		}},
	}
	want := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: "j", Namespace: "shop", UID: "u", ResourceVersion: "7", CreationTimestamp: metav1.Unix(1, 0),
			OwnerReferences: []metav1.OwnerReference{{Kind: "Secret", UID: "s", Controller: &yes}},
		},
		Spec:   batchv1.JobSpec{ActiveDeadlineSeconds: &deadline},
		Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: "True", Reason: "DeadlineExceeded"}}},
	}
	for range 2 {
		got, err := slimJob(job)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v", got, err)
		}
		job = got.(*batchv1.Job)
	}
	if got, err := slimJob("a tombstone of the cache's"); err != nil || got != "a tombstone of the cache's" {
		t.Errorf("%v, %v", got, err)
	}
}
