package kms

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

func TestEachErrorOfCustomKeyStoresIsAWSsOwnWithTheCause(t *testing.T) {
	for _, e := range storeErrors {
		var got smithy.APIError
		err := fmt.Errorf("%w: the cause", e.err)
		if !errors.As(storeAnswer(err), &got) || got.ErrorMessage() != err.Error() || got.ErrorFault() != smithy.FaultClient {
			t.Errorf("%v is answered as %v", err, storeAnswer(err))
		}
	}
}

func TestWhatMeansNothingToACallerIsLeftToTheServerWhichTellsNothingOfIt(t *testing.T) {
	for _, err := range []error{errors.New("etcd is full"), nil, &types.TagException{}} {
		if got := storeAnswer(err); !errors.Is(got, err) {
			t.Errorf("%v is answered as %v", err, got)
		}
	}
}

func TestAKeyOfADisconnectedStoreIsInvalidAndNotOnlyOutForAMoment(t *testing.T) {
	key := &v1alpha1.KMSKey{}
	key.Status.ARN = "arn:aws:kms:us-east-1:123456789012:key/x"
	var state *types.KMSInvalidStateException
	if err := answer(key, fmt.Errorf("opening: %w", cloudhsm.ErrDisconnected)); !errors.As(err, &state) || *state.Message != key.Status.ARN+" is unavailable." {
		t.Error(err)
	}
	var store *types.CustomKeyStoreInvalidStateException
	if err := answer(nil, cloudhsm.ErrDisconnected); !errors.As(err, &store) {
		t.Errorf("a key that was being made when the store was disconnected is answered as %v", err)
	}
	var passing *types.KeyUnavailableException // SDKs try it again
	if err := answer(key, cloudhsm.ErrUnavailable); !errors.As(err, &passing) {
		t.Errorf("nodes that are out are answered as %v", err)
	}
}
