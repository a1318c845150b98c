package envelope

import "sigs.k8s.io/controller-runtime/pkg/client"

// SawDeletion is what the event of a deletion does.
func (r *Reconciler) SawDeletion(owner Owner, obj client.Object) {
	r.saw(owner, lastWords(obj))
}
