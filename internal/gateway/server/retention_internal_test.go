package server

import (
	"strings"
	"testing"
	"unsafe"
)

// A signing key is remembered as long as there is room, and what it is found by is cut out of a header of some kilobytes.
func TestTheNameOfASigningKeyIsNoPartOfAHeader(t *testing.T) {
	header := "AKIAAAAAAAAAAAAAAAAA/20260101/us-east-1/kms/aws4_request" + strings.Repeat("x", 4096)
	parts := strings.SplitN(header, "/", 5)
	name := signingKeyOf{parts[0], parts[1], parts[2], parts[3], 42}
	within := func(part string) bool {
		begin := uintptr(unsafe.Pointer(unsafe.StringData(header)))
		at := uintptr(unsafe.Pointer(unsafe.StringData(part)))
		return at >= begin && at < begin+uintptr(len(header))
	}
	if !within(name.region) {
		t.Fatal("the test itself is wrong")
	}
	kept := name.clone()
	if kept != name {
		t.Errorf("%+v is another name than %+v", kept, name)
	}
	for _, part := range []string{kept.accessKeyID, kept.date, kept.region, kept.service} {
		if within(part) {
			t.Errorf("%q keeps the header", part)
		}
	}
}
