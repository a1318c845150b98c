package certificateauthority

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestARevocationWaitsForItsListNoLongerThanASecondAndOnlyAfterAnotherList(t *testing.T) {
	made := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	list := &v1alpha1.CertificateRevocationListStatus{ThisUpdate: metav1.NewTime(made)}
	for _, tt := range []struct {
		name   string
		former *v1alpha1.CertificateRevocationListStatus
		now    time.Time
		want   time.Duration
	}{
		{"the first list waits for nothing", nil, made, 0},
		{"what follows a list at once waits a second", list, made, time.Second},
		{"what follows it later, the rest of the second", list, made.Add(999 * time.Millisecond), time.Millisecond},
		{"to the nanosecond", list, made.Add(time.Second - 1), 1},
		{"a second later nothing waits", list, made.Add(time.Second), 0},
		{"nor in a quiet time", list, made.Add(24 * time.Hour), 0},
		{"nor when the clock was set back", list, made.Add(-1), 0},
		{"nor when it was set back far", list, made.Add(-1000 * time.Hour), 0},
	} {
		if got := gathering(tt.former, tt.now); got != tt.want {
			t.Errorf("%s: it waits %v, and should %v", tt.name, got, tt.want)
		}
	}
}
