// Package claim decides which of several objects has a right that only one can have, such as an account id, an AWS name, an
// alias or an ARN: the oldest, and of two of one age the one whose name comes first.
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

// Holder is which of several objects has an identifier that is in their status, where whoever may write it can put another's, such as an ARN that derives from the UID of the object
// that it was made for: one of those of the highest rank, which is what speaks for it besides its status, and of them the eldest. One that is being deleted, and for which nothing else speaks,
// has none. It is nil if nobody has it, and fails with what rank fails with.
func Holder[T any, P interface {
	*T
	metav1.Object
}](claimants []P, rank func(P) (int, error)) (holder P, err error) {
	highest := 0
	for _, c := range claimants {
		r, err := rank(c)
		if err != nil {
			return nil, err
		}
		if r == 0 && c.GetDeletionTimestamp() != nil {
			continue
		}
		if holder == nil || r > highest || r == highest && Before(c, holder) {
			holder, highest = c, r
		}
	}
	return holder, nil
}

// Before tells whether an object has the older right than another: the order that Elder decides by.
func Before(a, b metav1.Object) bool {
	at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if at.Equal(&bt) {
		return a.GetName() < b.GetName()
	}
	return at.Before(&bt)
}
