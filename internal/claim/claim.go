// Package claim decides which of several objects has a right that only one can have, such as an account id, an AWS name or
// an alias: the oldest, and of two of one age the one whose name comes first.
package claim

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Elder names the object that has what this one claims too, by the oldest right, or nothing if it is this one. The list may
// hold this one.
func Elder[T any, P interface {
	*T
	metav1.Object
}](this metav1.Object, claimants []T) string {
	eldest := this
	for i := range claimants {
		if other := metav1.Object(P(&claimants[i])); other.GetName() != this.GetName() && Before(other, eldest) {
			eldest = other
		}
	}
	if eldest == this {
		return ""
	}
	return eldest.GetName()
}

// Before tells whether an object has the older right than another: the order that Elder decides by.
func Before(a, b metav1.Object) bool {
	at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if at.Equal(&bt) {
		return a.GetName() < b.GetName()
	}
	return at.Before(&bt)
}
