package secret

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

// Rotations by a rotator are counted here; those that only make another value are seen in strongroom_last_rotated_timestamp_seconds. Labels have few values: an
// object's own series is strongroom_rotation_attempts.
var (
	rotationAttempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "strongroom_rotations_total",
		Help: "Attempts of rotations by a rotator, by what came of them: Succeeded, or the reason of the condition RotationFailing.",
	}, []string{"rotator", "result"})
	rotationDurations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "strongroom_rotation_duration_seconds",
		Help:    "Time from a rotation's beginning to the commit that moved AWSCURRENT, all attempts and waits in it.",
		Buckets: []float64{.1, .5, 1, 5, 15, 60, 300, 1800, 3600, 4 * 3600, 24 * 3600},
	}, []string{"rotator"})
	rotationsWaiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "strongroom_rotations_waiting",
		Help: "Rotations, and tests of rotators, that wait until fewer others talk to their servers.",
	})
	rotationTests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "strongroom_rotation_tests_total",
		Help: "Tests of rotators with the version in force, by what came of them: Succeeded, or the reason of the condition RotationFailing.",
	}, []string{"rotator", "result"})
)

func init() {
	ctrlmetrics.Registry.MustRegister(rotationAttempts, rotationDurations, rotationTests, rotationsWaiting)
}

const resultSucceeded = "Succeeded"

// rotatorOf names what rotates a secret, as spec.rotation does.
func rotatorOf(s *v1alpha1.Secret) string {
	switch r := s.Spec.Rotation; {
	case r == nil:
		return ""
	case r.Postgres != nil:
		return "postgres"
	case r.MySQL != nil:
		return "mysql"
	case r.Redis != nil:
		return "redis"
	case r.MongoDB != nil:
		return "mongodb"
	case r.SQLServer != nil:
		return "sqlserver"
	case r.Function != nil:
		return "function"
	case r.Job != nil:
		return "job"
	}
	return ""
}

// countRotation counts a rotation that was committed, and how long it took. Times in status are whole seconds.
func countRotation(s *v1alpha1.Secret, began *metav1.Time, now time.Time) {
	rotationAttempts.WithLabelValues(rotatorOf(s), resultSucceeded).Inc()
	if began != nil {
		rotationDurations.WithLabelValues(rotatorOf(s)).Observe(max(now.Sub(began.Time), 0).Seconds())
	}
}

// countTest counts a test of a rotator.
func countTest(s *v1alpha1.Secret, err error) {
	result := resultSucceeded
	if err != nil {
		result = fault.Of(err).Reason
	}
	rotationTests.WithLabelValues(rotatorOf(s), result).Inc()
}

// beganAt is when the rotation in progress began, nil if none is.
func beganAt(s *v1alpha1.Secret) *metav1.Time {
	if s.Status.Rotation == nil {
		return nil
	}
	return s.Status.Rotation.StartedTime.DeepCopy()
}
