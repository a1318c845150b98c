package store

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// erasure is what the mark of an Envelope says of one pass of Erase.
type erasure struct {
	// id of the pass.
	id string
	// uid of the Envelope that is marked. One that a backup brought back has another, and its mark says nothing.
	uid types.UID
	// first is the name of the Envelope that goes first, and firstUID its UID.
	first    string
	firstUID types.UID
}

func newErasure() erasure { return erasure{id: string(uuid.NewUUID())} }

// of is the mark of an Envelope, which is the first one if there was none before.
func (m erasure) of(e *v1alpha1.Envelope) erasure {
	if m.uid = e.UID; m.first == "" {
		m.first, m.firstUID = e.Name, e.UID
	}
	return m
}

// String is the mark as the annotation has it.
func (m erasure) String() string {
	return strings.Join([]string{m.id, string(m.uid), m.first, string(m.firstUID)}, " ")
}

// erasureOf reads the mark of an Envelope. Of one that earlier versions made, or anybody else, nothing more is known than that it is a mark.
func erasureOf(e *v1alpha1.Envelope) (m erasure, known bool) {
	fields := strings.Split(e.Annotations[v1alpha1.ErasureAnnotation], " ")
	if !Condemned(e) || len(fields) != 4 || types.UID(fields[1]) != e.UID {
		return erasure{}, false
	}
	return erasure{fields[0], types.UID(fields[1]), fields[2], types.UID(fields[3])}, true
}

// FirstErased names the Envelope that goes first in the erasure that an Envelope is marked for, with its UID: once that one is gone, nobody takes what is left. It may be the Envelope itself.
func FirstErased(e metav1.Object) (name string, uid types.UID, marked bool) {
	mark, marked := erasureOf(&v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{UID: e.GetUID(), Annotations: e.GetAnnotations()}})
	return mark.first, mark.firstUID, marked
}
