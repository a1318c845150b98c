package outcome_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
)

// The API refuses an event whose note is over 1,024 bytes; names have up to 253.
func TestAnEventNamesAFewAndCountsAllAndFits(t *testing.T) {
	var workloads []string
	var damaged []*v1alpha1.Envelope
	for n := range 500 {
		workloads = append(workloads, fmt.Sprint("Deployment/", strings.Repeat("w", 250), n))
		damaged = append(damaged, &v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("x", 250) + fmt.Sprint(100+n)}})
	}
	if note := outcome.Restarted(workloads).Note; len(note) > 1024 || !strings.Contains(note, " 500 ") {
		t.Errorf("%d bytes: %s", len(note), note)
	}
	if note := outcome.Restarted([]string{"Deployment/a", "DaemonSet/b"}).Note; !strings.HasSuffix(note, "Deployment/a, DaemonSet/b") {
		t.Error(note)
	}
	if note := outcome.Dropped(damaged).Note; len(note) > 1024 || !strings.Contains(note, "500 versions") || !strings.Contains(note, "and 497 more") {
		t.Errorf("%d bytes: %s", len(note), note)
	}
}
