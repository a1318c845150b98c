package passes_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
)

func TestWhatARequestIsMakingIsLeftAloneForAMoment(t *testing.T) {
	made := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	const making = 5 * time.Second
	const subject = "arn:aws:ssm:us-east-1:111122223333:parameter/a"
	for name, tt := range map[string]struct {
		subject, arn string
		age, want    time.Duration
	}{
		"just made":                                {subject, "", 0, making},
		"a little ago":                             {subject, "", 2 * time.Second, making - 2*time.Second},
		"by a clock that is a little ahead":        {subject, "", -time.Second, making},
		"long ago, by a request that died":         {subject, "", making, 0},
		"by a clock that nothing can be said of":   {subject, "", -time.Hour, 0},
		"with its first version committed":         {subject, subject, 0, 0},
		"by a manifest, which no request is about": {"", "", 0, 0},
	} {
		p := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(made)}}
		if tt.subject != "" {
			p.Annotations = map[string]string{v1alpha1.SubjectAnnotation: tt.subject}
		}
		p.Status.ARN = tt.arn
		if got := passes.BeingMade(p, p.Status.ARN, made.Add(tt.age)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
