package parametertree

import (
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// The Reconciler has nothing to read by: it would panic if it tried.
func TestATreeThatShowsNothingHasNothingWithdrawnAndReadsNoParameterForThat(t *testing.T) {
	for name, shown := range map[string]*v1alpha1.ParameterTreeProjection{"never shown": nil, "of which all was withdrawn": {Kind: kindConfigMap}} {
		p := &pass{tree: &v1alpha1.ParameterTree{}, former: &v1alpha1.ParameterTreeStatus{Projection: shown}}
		if err := (&Reconciler{}).withdraw(t.Context(), p); err != nil || p.spent != 0 {
			t.Errorf("%s: %v, %d bytes were written", name, err, p.spent)
		}
	}
}
