package parameterstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=selfsubjectreviews,verbs=create

var errNoServerTime = errors.New("the API server did not tell its time")

// ServerTimeOf asks the API server for its time, to the second: by who one is oneself, which it answers with the time of the answer and keeps nowhere.
func ServerTimeOf(c client.Client) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		review := &authenticationv1.SelfSubjectReview{}
		if err := c.Create(ctx, review); err != nil {
			return time.Time{}, fmt.Errorf("asking the API server for its time: %w", err)
		}
		if review.CreationTimestamp.IsZero() {
			return time.Time{}, errNoServerTime
		}
		return review.CreationTimestamp.UTC(), nil
	}
}

// Until is how long it is by the API server's clock until a Parameter expires, which it has by the manager's own: 0 if it has by both. A wrong clock
// withholds a value, which comes back; it must not delete one.
func (s *Service) Until(ctx context.Context, expiry time.Time) (time.Duration, error) {
	now, err := s.ServerTime(ctx)
	if err != nil {
		return 0, err
	}
	return max(expiry.Sub(now), 0), nil
}
