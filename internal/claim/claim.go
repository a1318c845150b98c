// Package claim decides which of several objects has a right that only one can have, such as an account id, an AWS name or
// an alias: the oldest, and of two of one age the one whose name comes first.
package claim

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Elder names the object that claims the same as this one by an older right, or nothing if this one has it. The list may
// hold this one too.
func Elder[T any, P interface {
	*T
	metav1.Object
}](this metav1.Object, claimants []T) string {
	for i := range claimants {
		other := metav1.Object(P(&claimants[i]))
		if other.GetName() != this.GetName() && before(other, this) {
			return other.GetName()
		}
	}
	return ""
}

func before(a, b metav1.Object) bool {
	at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if at.Equal(&bt) {
		return a.GetName() < b.GetName()
	}
	return at.Before(&bt)
}
