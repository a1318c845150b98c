//go:build cgo

package module

/*
#include <stdlib.h>
*/
import "C"

import (
	"unsafe"

	"github.com/miekg/pkcs11"
)

// attr makes an attribute; the library's own name is long for tables.
func attr(kind uint, value any) *pkcs11.Attribute { return pkcs11.NewAttribute(kind, value) }

// cAttribute is CK_ATTRIBUTE.
type cAttribute struct {
	kind   C.ulong
	value  unsafe.Pointer
	length C.ulong
}

// template makes an attribute whose value is a list of attributes, such as CKA_UNWRAP_TEMPLATE, which the library has no way for. What it
// points to is in C's memory, until free is called.
func template(kind uint, attributes ...*pkcs11.Attribute) (list *pkcs11.Attribute, free func()) {
	const size = int(unsafe.Sizeof(cAttribute{}))
	value := make([]byte, 0, size*len(attributes))
	var allocated []unsafe.Pointer
	for _, a := range attributes {
		c := cAttribute{C.ulong(a.Type), C.CBytes(a.Value), C.ulong(len(a.Value))}
		allocated = append(allocated, c.value)
		value = append(value, unsafe.Slice((*byte)(unsafe.Pointer(&c)), size)...)
	}
	return attr(kind, value), func() {
		for _, p := range allocated {
			C.free(p)
		}
	}
}

func one(mechanism uint, parameter any) []*pkcs11.Mechanism {
	return []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, parameter)}
}
