package passes

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// making is how long a request has that makes an object by the API: longer than it ever takes.
const making = 5 * time.Second

// BeingMade is how long to leave an object alone that a request has just made, and of which it is about to store and commit the first version. A pass now
// would take that version over and commit it as well, or write a status that it is not ready, at the price of more writes and of the request's conflict. What a request leaves that died, or that
// had no value to store, is looked at then. A clock that is behind by more than that waits for nothing. arn is the one that status has. It is a pure function.
func BeingMade(obj client.Object, arn string, now time.Time) time.Duration {
	age := now.Sub(obj.GetCreationTimestamp().Time)
	if obj.GetAnnotations()[v1alpha1.SubjectAnnotation] == "" || arn != "" || age < -making || age >= making {
		return 0
	}
	return min(making-age, making)
}
