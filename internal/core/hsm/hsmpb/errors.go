// Package hsmpb is the API of an HSM node, made of node.proto, and how its errors travel.
package hsmpb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// domain is that of ErrorInfo (google/rpc/error_details.proto).
const domain = "hsm.strongroom.dev"

var statusCodes = map[string]codes.Code{
	"WrongPIN": codes.FailedPrecondition, "PINLocked": codes.FailedPrecondition, "OtherPIN": codes.FailedPrecondition, "LoggedOut": codes.FailedPrecondition, "NoPKCS11": codes.Unimplemented, "Uninitialized": codes.FailedPrecondition,
	"NoDomainKey": codes.FailedPrecondition, "UnknownEpoch": codes.FailedPrecondition, "InvalidCiphertext": codes.InvalidArgument,
	"InvalidArgument": codes.InvalidArgument, "Unsupported": codes.Unimplemented, "EpochExists": codes.AlreadyExists,
	"NoSecurityOfficer": codes.FailedPrecondition, "NoTransportKey": codes.FailedPrecondition, "PermissionDenied": codes.PermissionDenied,
	"KeyMismatch": codes.DataLoss,
}

// ToStatus makes a gRPC status of an error of package hsm, with its Reason as ErrorInfo. The end of a context stays that.
func ToStatus(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	reason := hsm.Reason(err)
	code, ok := statusCodes[reason]
	if !ok {
		code = codes.Unavailable
	}
	s, failed := status.New(code, err.Error()).WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: domain})
	if failed != nil {
		return status.Error(code, err.Error())
	}
	return s.Err()
}

// FromStatus is the way back: errors.Is finds the error of package hsm. A failure of the connection itself is ErrNoNodes, and the end of a context
// stays that.
func FromStatus(err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			return hsm.FromReason(info.GetReason(), s.Message())
		}
	}
	switch s.Code() {
	case codes.Canceled:
		return ended(context.Canceled, s.Message())
	case codes.DeadlineExceeded:
		return ended(context.DeadlineExceeded, s.Message())
	default:
		return fmt.Errorf("%w: %s", hsm.ErrNoNodes, s.Message())
	}
}

// ended is the end of a context with what gRPC says of it, which mostly is the same words.
func ended(how error, message string) error {
	before, same := strings.CutSuffix(message, how.Error())
	before = strings.TrimRight(before, ": ")
	switch {
	case !same:
		return fmt.Errorf("%w: %s", how, message)
	case before == "":
		return how
	}
	return fmt.Errorf("%s: %w", before, how)
}
