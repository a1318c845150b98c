package secret

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// The API refuses an event whose note is over 1,024 bytes; names have up to 253.
func TestAnEventOfLongNamesFits(t *testing.T) {
	var many []string
	for range 10 {
		many = append(many, "Deployment/"+strings.Repeat("x", 253))
	}
	if e := eventRestarted(many); len(e.note) > 1024 {
		t.Errorf("%d bytes", len(e.note))
	}
	var damaged []*v1alpha1.Envelope
	for n := range 180 {
		damaged = append(damaged, &v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("x", 250) + fmt.Sprint(100+n)}})
	}
	if e := eventDropped(damaged); len(e.note) > 1024 || !strings.Contains(e.note, "180 versions") || !strings.Contains(e.note, "and 177 more") {
		t.Errorf("%d bytes: %s", len(e.note), e.note)
	}
}
