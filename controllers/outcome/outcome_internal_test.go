package outcome

import (
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

func TestRetriesAreSpreadByATenth(t *testing.T) {
	spread := map[time.Duration]bool{}
	for range 100 {
		d := jittered(time.Minute)
		if d < time.Minute || d > 66*time.Second {
			t.Fatal(d)
		}
		spread[d] = true
	}
	if len(spread) < 50 {
		t.Errorf("%d different times of 100", len(spread))
	}
}

func TestOnlyALostRaceIsMadeAgainWithoutAnError(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "db", errors.New("the object has been modified"))
	for name, tt := range map[string]struct {
		err  error
		lost bool
	}{
		"nothing":                         {nil, false},
		"another writer came first":       {conflict, true},
		"the same, with words around it":  {fmt.Errorf("writing status: %w", conflict), true},
		"the same, beside a fault":        {errors.Join(fault.Stalled(v1alpha1.ReasonKeyNotFound, errors.New("no key")), conflict), false},
		"a target that others change":     {fault.Contested(v1alpha1.ReasonConflict, conflict), false},
		"an API server that does not say": {errors.New("connection refused"), false},
	} {
		if got := LostRace(tt.err); got != tt.lost {
			t.Errorf("%s: %t", name, got)
		}
		result, err := Again(tt.err)
		if tt.lost && (err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Second) {
			t.Errorf("%s: %v, %v", name, result, err)
		}
		if !tt.lost && !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
