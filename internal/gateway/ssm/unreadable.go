package ssm

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/store"
)

// unreadable is the error of a parameter of which an Envelope is missing or does not open: AWS's InternalServerError, which names the parameter, so that whoever asked for
// many knows which of them it is. It says no more; the cause that it wraps is logged, and the conditions of the Parameter tell it to the administrator. Other errors are
// returned as [keyError] has them.
//
// Such a parameter is not left out of an answer: whoever is told of the others alone takes it for one that is not there. InvalidParameters of GetParameters says just that.
func unreadable(p *v1alpha1.Parameter, name string, err error) error {
	if p != nil {
		name = p.AWSName()
	}
	if errors.Is(err, store.ErrMissing) || errors.Is(err, store.ErrTampered) || errors.Is(err, keyring.ErrUnknownEpoch) {
		own := &types.InternalServerError{Message: ptr.To("An error occurred on the server side: the parameter " + name + " cannot be read.")}
		return fmt.Errorf("%w: %w", own, err)
	}
	return keyError(name, err)
}
