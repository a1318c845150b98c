package server

import (
	"sync"
	"testing"

	"github.com/google/uuid"
)

func TestIDsAreRandomUUIDsAndNeverTheSame(t *testing.T) {
	const routines, each = 8, 2000 // many times what is read at once
	var mu sync.Mutex
	var group sync.WaitGroup
	seen := map[string]bool{}
	for range routines {
		group.Go(func() {
			for range each {
				id := newID()
				parsed, err := uuid.Parse(id)
				mu.Lock()
				if err != nil || parsed.Version() != 4 || parsed.Variant() != uuid.RFC4122 || seen[id] {
					t.Errorf("%s: %v, seen before: %t", id, err, seen[id])
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

func TestAContentTypeIsTakenWithParametersAndWithout(t *testing.T) {
	for header, want := range map[string]bool{
		jsonType: true, jsonType + "; charset=utf-8": true, "Application/X-Amz-JSON-1.1": true,
		"": false, "application/json": false, jsonType + "; charset": false, jsonType + ", text/plain": false, formType: false,
	} {
		if got := isType(header, jsonType); got != want {
			t.Errorf("%q: %t, want %t", header, got, want)
		}
	}
}
