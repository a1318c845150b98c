package iam

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// within tells whether a text is a part of another in memory, and so keeps all of it.
func within(part, whole string) bool {
	begin := uintptr(unsafe.Pointer(unsafe.StringData(whole)))
	at := uintptr(unsafe.Pointer(unsafe.StringData(part)))
	return at >= begin && at < begin+uintptr(len(whole))
}

// An access key id is cut out of a header of up to some kilobytes: a credential is remembered for a minute, and the header is not.
func TestWhatIsRememberedIsNoPartOfAHeader(t *testing.T) {
	header := "AWS4-HMAC-SHA256 Credential=AKIAAAAAAAAAAAAAAAAA/20260101/us-east-1/iam/aws4_request" + strings.Repeat("x", 4096)
	id := header[28:48]
	if id != "AKIAAAAAAAAAAAAAAAAA" || !within(id, header) {
		t.Fatal("the test itself is wrong")
	}
	s := &Service{Cache: NewCache(func() time.Time { return time.Unix(0, 0) })}
	look := func() (*known, error) { return &known{sources: []source{{}}}, nil }
	for _, key := range []any{id, sha256.Sum256([]byte(id))} {
		if _, err := s.remembered(t.Context(), key, look); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for _, key := range s.Cache.credentials.Keys() {
		if text, ok := key.(string); ok {
			found++
			if text != id || within(text, header) {
				t.Errorf("%q keeps the header", text)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d access keys are remembered", found)
	}
	identity := &Identity{}
	identity.timed(id, &claims{})
	if identity.AccessKeyID != id || within(identity.AccessKeyID, header) {
		t.Error("a session's identity keeps the header")
	}
}
