package kms

import (
	"context"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

const (
	// ownKeyPatience is how long a request waits for an account's own key of a service, which the first object of that service has made.
	ownKeyPatience = 10 * time.Second
	ownKeyInterval = 20 * time.Millisecond
)

// AwaitOwn finds a key for a caller that cannot come back later: while the fault of find is that the account's own key of that name is being
// made, it asks again. What it returns at last is what find does.
func AwaitOwn(ctx context.Context, name string, find func(context.Context) (*v1alpha1.KMSKey, error)) (*v1alpha1.KMSKey, error) {
	ctx, cancel := context.WithTimeout(ctx, ownKeyPatience)
	defer cancel()
	for {
		key, err := find(ctx)
		if err == nil || fault.Of(err).Reason != v1alpha1.ReasonKeyUnusable || !beingMade(key, name) {
			return key, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(ownKeyInterval):
		}
	}
}

// beingMade tells that a key has no state yet: its controller is about to make its material.
func beingMade(key *v1alpha1.KMSKey, name string) bool {
	return key == nil || key.Name == name && (key.Status.KeyState == "" || key.Status.KeyState == v1alpha1.KeyStateCreating)
}
