package kms

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"encoding/base64"
	"errors"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// page is a part of a list.
type page[T any] struct {
	items     []T
	truncated bool
	next      *string
}

// paged cuts a page out of a list that is in the order of id. A marker is the id of the last item of the page before, sealed, so
// that it says nothing and is of use for the same list alone (see page.Of); an item that went meanwhile does not matter.
func paged[T any](o *operations, list string, all []T, id func(*T) string, marker *string, limit *int32, usual, most int) (page[T], error) {
	var out page[T]
	size := usual
	if limit != nil {
		if size = int(*limit); size < 1 || size > most {
			return out, validation("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: "+
				"Member must have value between 1 and %d", size, most)
		}
	}
	if marker != nil {
		last, err := o.openMarker(list, *marker)
		if err != nil {
			return out, err
		}
		for len(all) > 0 && id(&all[0]) <= last {
			all = all[1:]
		}
	}
	out.items = all[:min(size, len(all))]
	if out.truncated = len(all) > size; out.truncated {
		next, err := o.sealMarker(list, id(&all[size-1]))
		out.next = &next
		return out, err
	}
	return out, nil
}

func markerContext(list string) keys.Context { return keys.Context{"list": list} }

func (o *operations) sealMarker(list, last string) (string, error) {
	ring, err := o.Keyring.Get()
	if err != nil {
		return "", answer(nil, err)
	}
	blob, err := ring.Seal(keys.KindPageToken, markerContext(list), secretbytes.Own([]byte(last)))
	return base64.RawURLEncoding.EncodeToString(blob), err
}

func (o *operations) openMarker(list, marker string) (string, error) {
	invalid := &types.InvalidMarkerException{Message: aws.String("The marker is not valid.")}
	blob, err := base64.RawURLEncoding.DecodeString(marker)
	if err != nil {
		return "", invalid
	}
	last, err := o.Keyring.Open(keys.KindPageToken, markerContext(list), blob)
	if errors.Is(err, keyring.ErrSealed) {
		return "", answer(nil, err)
	}
	if err != nil {
		return "", invalid
	}
	return string(last.Reveal()), nil
}
