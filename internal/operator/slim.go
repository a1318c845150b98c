package operator

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var stripManagedFields = cache.TransformStripManagedFields()

// slim is the cache's transform of Secrets, Parameters and Envelopes. There are as many as there are secrets, so what nobody looks at goes:
// managed fields and kubectl's copy of the whole object, which a write of status leaves alone at the API server; and texts that
// nearly all of them have are kept once.
func slim(obj any) (any, error) {
	switch o := obj.(type) {
	case *v1alpha1.Secret:
		slimMetadata(&o.ObjectMeta, o.Status.Conditions)
		o.APIVersion, o.Kind = "", "" // as a read of the API server leaves them
		for i := range o.Status.Versions {
			for j := range o.Status.Versions[i].Stages {
				common(&o.Status.Versions[i].Stages[j])
			}
		}
	case *v1alpha1.Parameter:
		slimMetadata(&o.ObjectMeta, o.Status.Conditions)
		o.APIVersion, o.Kind = "", ""
		o.Spec.Type, o.Status.Tier = common1(o.Spec.Type), common1(o.Status.Tier)
	case *v1alpha1.Envelope:
		o.APIVersion, o.Kind = "", ""
		o.Spec.Class = common1(o.Spec.Class)
		common(&o.Spec.Owner.Kind)
		for i := range o.Spec.Stages {
			common(&o.Spec.Stages[i])
		}
	}
	return stripManagedFields(obj)
}

// rotationLabels are those of every Job of a rotation in the cache, which is read and never changed.
var rotationLabels = map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedRotation}

// slimJob is the cache's transform of Jobs. Users can label what they like, so what is kept of one is what a rotation looks at: whose it is, its
// deadline and how it ended.
func slimJob(obj any) (any, error) {
	job, ok := obj.(*batchv1.Job)
	if !ok {
		return obj, nil
	}
	slim := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: job.Name, Namespace: job.Namespace, UID: job.UID, ResourceVersion: job.ResourceVersion, CreationTimestamp: job.CreationTimestamp,
			DeletionTimestamp: job.DeletionTimestamp,
		},
		Spec: batchv1.JobSpec{ActiveDeadlineSeconds: job.Spec.ActiveDeadlineSeconds},
	}
	if job.Labels[v1alpha1.ManagedLabel] == v1alpha1.ManagedRotation { // whoever deletes it knows by the label that the cache will tell
		slim.Labels = rotationLabels
	}
	if controller := metav1.GetControllerOf(job); controller != nil {
		slim.OwnerReferences = []metav1.OwnerReference{*controller}
	}
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed {
			slim.Status.Conditions = append(slim.Status.Conditions, batchv1.JobCondition{Type: c.Type, Status: c.Status, Reason: c.Reason})
		}
	}
	return slim, nil
}

func slimMetadata(o *metav1.ObjectMeta, conditions []metav1.Condition) {
	if _, has := o.Annotations[corev1.LastAppliedConfigAnnotation]; has {
		delete(o.Annotations, corev1.LastAppliedConfigAnnotation)
		if len(o.Annotations) == 0 {
			o.Annotations = nil
		}
	}
	for i := range conditions {
		c := &conditions[i]
		common(&c.Type, &c.Reason, &c.Message)
		c.Status = common1(c.Status)
	}
}

// texts that nearly every object has.
var texts = func() map[string]string {
	out := map[string]string{}
	for _, s := range []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled, "True", "False", "Unknown",
		v1alpha1.ReasonSucceeded, v1alpha1.ReasonPending, "The secret is in force", "Waiting for the controller",
		v1alpha1.StageCurrent, v1alpha1.StagePrevious, string(v1alpha1.EnvelopeSecretVersion), "Secret", "KMSKey",
		string(v1alpha1.EnvelopeParameterVersion), "Parameter", "The parameter is in force", string(v1alpha1.TierStandard),
		string(v1alpha1.ParameterString), string(v1alpha1.ParameterStringList), string(v1alpha1.ParameterSecureString),
	} {
		out[s] = s
	}
	return out
}()

func common(fields ...*string) {
	for _, f := range fields {
		*f = common1(*f)
	}
}

func common1[T ~string](s T) T {
	if known, ok := texts[string(s)]; ok {
		return T(known)
	}
	return s
}
