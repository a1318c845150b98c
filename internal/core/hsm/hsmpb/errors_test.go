package hsmpb_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

func TestEachErrorTravelsWithItsCodeItsReasonAndItsText(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code codes.Code
	}{
		{hsm.ErrWrongPIN, codes.FailedPrecondition}, {hsm.ErrPINLocked, codes.FailedPrecondition}, {hsm.ErrUninitialized, codes.FailedPrecondition},
		{hsm.ErrNoDomainKey, codes.FailedPrecondition}, {hsm.ErrUnknownEpoch, codes.FailedPrecondition}, {hsm.ErrNoSecurityOfficer, codes.FailedPrecondition},
		{hsm.ErrNoTransportKey, codes.FailedPrecondition}, {hsm.ErrInvalidCiphertext, codes.InvalidArgument}, {hsm.ErrInvalidArgument, codes.InvalidArgument},
		{hsm.ErrUnsupported, codes.Unimplemented}, {hsm.ErrNoPKCS11, codes.Unimplemented}, {hsm.ErrExists, codes.AlreadyExists},
		{hsm.ErrPermissionDenied, codes.PermissionDenied}, {hsm.ErrMismatch, codes.DataLoss},
		// What another node may do better is Unavailable, so that any gRPC client understands it.
		{hsm.ErrModule, codes.Unavailable}, {hsm.ErrModuleLost, codes.Unavailable}, {hsm.ErrNoNodes, codes.Unavailable},
	} {
		sent := fmt.Errorf("epoch 7: %w", tt.err)
		travels := hsmpb.ToStatus(sent)
		if got := status.Code(travels); got != tt.code {
			t.Errorf("%v travels as %s, want %s", tt.err, got, tt.code)
		}
		got := hsmpb.FromStatus(travels)
		if !errors.Is(got, tt.err) || got.Error() != sent.Error() {
			t.Errorf("%v came back as %v", sent, got)
		}
	}
}

func TestAnErrorOfNobodysIsAFailedModule(t *testing.T) {
	got := hsmpb.FromStatus(hsmpb.ToStatus(errors.New("odd")))
	if !errors.Is(got, hsm.ErrModule) || got.Error() != "odd" {
		t.Errorf("%v", got)
	}
}

func TestTheEndOfAContextStaysThat(t *testing.T) {
	for want, code := range map[error]codes.Code{context.Canceled: codes.Canceled, context.DeadlineExceeded: codes.DeadlineExceeded} {
		travels := hsmpb.ToStatus(fmt.Errorf("node: %w", want))
		if status.Code(travels) != code {
			t.Errorf("%v travels as %s", want, status.Code(travels))
		}
		got := hsmpb.FromStatus(travels)
		if !errors.Is(got, want) || errors.Is(got, hsm.ErrNoNodes) {
			t.Errorf("%v came back as %v", want, got)
		}
	}
}

func TestNoErrorIsNone(t *testing.T) {
	if err := hsmpb.ToStatus(nil); err != nil {
		t.Error(err)
	}
	if err := hsmpb.FromStatus(nil); err != nil {
		t.Error(err)
	}
}

// What did not come from a node's own code is a failure of the connection: the node was not reached, whatever code a proxy between gives.
func TestAStatusThatNoNodeMadeIsANodeThatWasNotReached(t *testing.T) {
	foreign, err := status.New(codes.PermissionDenied, "from a proxy").WithDetails(&errdetails.ErrorInfo{Reason: "WrongPIN", Domain: "proxy.example"})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"no connection":                    status.Error(codes.Unavailable, "connection refused"),
		"another's details":                foreign.Err(),
		"a proxy's answer without details": status.Error(codes.InvalidArgument, "bad gateway"),
		"a message that is too large":      status.Error(codes.ResourceExhausted, "larger than max"),
	} {
		got := hsmpb.FromStatus(err)
		if !errors.Is(got, hsm.ErrNoNodes) || errors.Is(got, hsm.ErrWrongPIN) || errors.Is(got, hsm.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, got)
		}
	}
	plain := errors.New("not of gRPC")
	if got := hsmpb.FromStatus(plain); !errors.Is(got, plain) {
		t.Errorf("%v", got)
	}
}

// A node that is newer may say what this program does not know: it is a failed module, which another node may not have.
func TestAReasonOfANewerNodeIsAFailedModule(t *testing.T) {
	newer, err := status.New(codes.FailedPrecondition, "quorum missing").WithDetails(&errdetails.ErrorInfo{Reason: "NoQuorum", Domain: "hsm.strongroom.dev"})
	if err != nil {
		t.Fatal(err)
	}
	if got := hsmpb.FromStatus(newer.Err()); !errors.Is(got, hsm.ErrModule) || got.Error() != "quorum missing" {
		t.Errorf("%v", got)
	}
}

func FuzzFromStatus(f *testing.F) {
	f.Add(uint32(codes.Unavailable), "m", "WrongPIN", "hsm.strongroom.dev")
	f.Add(uint32(codes.OK), "", "", "")
	f.Add(uint32(99), "\xff", "ModuleLost", "hsm.strongroom.dev")
	f.Fuzz(func(t *testing.T, code uint32, message, reason, domain string) {
		s, err := status.New(codes.Code(code), message).WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: domain})
		if err != nil {
			return // such as strings that are no UTF-8
		}
		got := hsmpb.FromStatus(s.Err())
		if (got == nil) != (codes.Code(code) == codes.OK) {
			t.Fatalf("%d %q: %v", code, message, got)
		}
	})
}

// What a person reads of a node that took too long: once that it did, and by the words of whoever waited.
func TestTheEndOfAContextIsToldOnce(t *testing.T) {
	for message, want := range map[string]string{
		"context deadline exceeded": "context deadline exceeded",
		"received context error while waiting for new LB policy update: context deadline exceeded": "received context error while waiting for new LB policy update: context deadline exceeded",
		"the server took too long": "context deadline exceeded: the server took too long",
	} {
		err := hsmpb.FromStatus(status.Error(codes.DeadlineExceeded, message))
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
			t.Errorf("%q is told as %q", message, err)
		}
	}
	if err := hsmpb.FromStatus(status.Error(codes.Canceled, "context canceled")); !errors.Is(err, context.Canceled) || err.Error() != "context canceled" {
		t.Errorf("%q", err)
	}
}
