// Package idempotent makes objects for requests to the AWS API that may be made again: a request that carries the token of an earlier one
// gets what that one made, whichever replica it reaches, and however many of them run at once.
package idempotent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/adoption"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/objectname"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

// maximumTries is how many names are tried: of those that come before, each was made with the same token, longer ago than it counts.
const maximumTries = 64

var (
	// ErrTokenReused says that the token made something else than what is asked for now.
	ErrTokenReused = errors.New("the idempotency token was used for a request with other parameters")
	errExhausted   = errors.New("the idempotency token was used too often")
)

// Maker makes objects.
type Maker struct {
	// Client writes.
	Client client.Client
	// Store tells what is left of objects that were deleted: their names are not used again, since an object of such a name would take
	// that over.
	Store *store.Store
	// Random is crypto/rand if nil.
	Random io.Reader
	// Now is the clock.
	Now func() time.Time
	// Window is how long a token counts.
	Window time.Duration
}

// Request is an object to be made.
type Request struct {
	// Kind of the object, as Envelopes name their owner.
	Kind string
	// Text that people know it by, which its name begins with.
	Text string
	// Region of the object.
	Region string
	// Token of the request; empty for none: then each request makes another object.
	Token string
	// Object to be made, without a name.
	Object client.Object
	// Existing is an empty object of the type, to read one into that is there; Same tells whether that one's spec is what is asked for, in all that it says: whoever
	// may make such objects could have made it.
	Existing client.Object
	Same     func(existing client.Object) bool
}

// Make makes the object, or finds the one that the token has made within the window, and returns it. It wraps ErrTokenReused. One of that name and token that says in its metadata
// what none that is made here does (adoption.Check) is somebody else's, and stays; the request's has the next name.
//
// Crash-safe: it is one write. The name derives from the token, so the API server lets one of several make it.
func (m *Maker) Make(ctx context.Context, r *Request) (client.Object, error) {
	token := r.Token
	if token == "" {
		random, err := sealed.NewID(m.Random)
		if err != nil {
			return nil, err
		}
		token = "\n" + random // no token has a line break in the first place
	} else {
		metav1.SetMetaDataAnnotation(annotated(r.Object), v1alpha1.RequestTokenAnnotation, token)
	}
	for attempt := range maximumTries {
		name := objectname.Derived(r.Kind, r.Region+"\x00"+token+"\x00"+strconv.Itoa(attempt), r.Text)
		made, err := m.attempt(ctx, r, name)
		if made != nil || err != nil {
			return made, err
		}
	}
	return nil, errExhausted
}

// attempt makes the object under a name, or finds it there. Both results are nil if the name is not to be used.
func (m *Maker) attempt(ctx context.Context, r *Request, name string) (client.Object, error) {
	namespace := r.Object.GetNamespace()
	made := r.Object.DeepCopyObject().(client.Object)
	made.SetName(name)
	left, err := m.Store.OfOwner(ctx, namespace, v1alpha1.EnvelopeOwner{Kind: r.Kind, Name: name})
	if err != nil {
		return nil, err
	}
	if len(left) == 0 {
		err := m.Client.Create(ctx, made, kms.FieldOwner)
		switch {
		case err == nil:
			return made, nil
		case !apierrors.IsAlreadyExists(err):
			return nil, fmt.Errorf("creating %s %s: %w", r.Kind, name, err)
		}
	}
	existing := r.Existing.DeepCopyObject().(client.Object)
	err = m.Store.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, existing)
	switch {
	case apierrors.IsNotFound(err): // it was deleted
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s %s: %w", r.Kind, name, err)
	case r.Token == "", adoption.Check(existing, r.Object) != nil, // the token is one of its annotations
		m.Now().Sub(existing.GetCreationTimestamp().Time) >= m.Window:
		return nil, nil
	case !r.Same(existing):
		return nil, fmt.Errorf("%w: it made %s %s", ErrTokenReused, r.Kind, name)
	}
	return existing, nil
}

// annotated is an object's metadata.
func annotated(obj client.Object) *metav1.ObjectMeta {
	return obj.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta)
}
