package envelope

import "sigs.k8s.io/controller-runtime/pkg/client"

// SawDeletion is what the event of a deletion does.
func (r *Reconciler) SawDeletion(owner Owner, obj client.Object) {
	last := lastWords(obj)
	last.deleted = r.Now()
	r.deleted.Store(owner, last)
}
