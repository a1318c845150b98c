package hsm

import (
	"errors"
	"fmt"
)

// The failures of nodes. They travel by their Reason, and their texts name no secret.
var (
	// ErrNoNodes says that no node of a cluster can be asked at the moment.
	ErrNoNodes = errors.New("no HSM node can be reached")
	// ErrWrongPIN says that the token refused the PIN. It is not tried again before it changes.
	ErrWrongPIN = errors.New("the PIN is wrong")
	// ErrOtherPIN says that the node has another PIN than the one that it was told to log in with. It was not tried.
	ErrOtherPIN = errors.New("the node has another PIN than the one that is meant")
	// ErrLoggedOut says that a node of a shared token was not told to log in yet.
	ErrLoggedOut = errors.New("the node is not logged in: nodes of one token log in one after the other")
	// ErrPINLocked says that the token takes no PIN any more, or would take but one more. The security officer sets another.
	ErrPINLocked = errors.New("the PIN is locked")
	// ErrModule says that the PKCS#11 module cannot be loaded, failed or crashed. What was asked may be asked of another node.
	ErrModule = errors.New("the PKCS#11 module failed")
	// ErrModuleLost is an ErrModule after which the module must be loaded anew, such as CKR_DEVICE_ERROR.
	ErrModuleLost = fmt.Errorf("%w and must be loaded anew", ErrModule)
	// ErrNoPKCS11 says that the program was built without cgo.
	ErrNoPKCS11 = errors.New("this build has no PKCS#11: it was made with CGO_ENABLED=0; use the image of Dockerfile.hsm, or build with cgo")
	// ErrUninitialized says that the node's token is not initialised.
	ErrUninitialized = errors.New("the token is not initialised")
	// ErrNoDomainKey says that the token has no domain key yet.
	ErrNoDomainKey = errors.New("the token has no domain key")
	// ErrUnknownEpoch says that the token has no domain key of an epoch. Another node may have it.
	ErrUnknownEpoch = errors.New("the token has no domain key of that epoch")
	// ErrInvalidCiphertext is the one failure of whatever does not open: damaged, of another key, or with another AAD.
	ErrInvalidCiphertext = errors.New("it does not open: it is damaged, or was made by another key or with another AAD")
	// ErrInvalidArgument says that a request is malformed or over a limit.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrUnsupported says that the module or the kind of key cannot do what was asked.
	ErrUnsupported = errors.New("not supported")
	// ErrExists says that there is another domain key of that epoch already.
	ErrExists = errors.New("there is a domain key of that epoch already")
	// ErrNoSecurityOfficer says that the node has no security officer's PIN, so it can neither initialise nor clone.
	ErrNoSecurityOfficer = errors.New("the node has no security officer's PIN")
	// ErrNoTransportKey says that Import was called without a Join before it.
	ErrNoTransportKey = errors.New("there is no transport key: call Join first")
	// ErrPermissionDenied says that the caller's certificate has another role.
	ErrPermissionDenied = errors.New("the certificate's role may not do that")
	// ErrMismatch says that nodes hold different keys of one epoch.
	ErrMismatch = errors.New("key check values differ")
)

var reasons = []struct {
	name string
	err  error
}{
	{"NoNodes", ErrNoNodes},
	{"WrongPIN", ErrWrongPIN},
	{"OtherPIN", ErrOtherPIN},
	{"LoggedOut", ErrLoggedOut},
	{"PINLocked", ErrPINLocked},
	{"ModuleLost", ErrModuleLost}, // before ErrModule, which it is too
	{"ModuleFailed", ErrModule},
	{"NoPKCS11", ErrNoPKCS11},
	{"Uninitialized", ErrUninitialized},
	{"NoDomainKey", ErrNoDomainKey},
	{"UnknownEpoch", ErrUnknownEpoch},
	{"InvalidCiphertext", ErrInvalidCiphertext},
	{"InvalidArgument", ErrInvalidArgument},
	{"Unsupported", ErrUnsupported},
	{"EpochExists", ErrExists},
	{"NoSecurityOfficer", ErrNoSecurityOfficer},
	{"NoTransportKey", ErrNoTransportKey},
	{"PermissionDenied", ErrPermissionDenied},
	{"KeyMismatch", ErrMismatch},
}

// Reason names an error in one word, fit for a condition: ModuleFailed if it is none of this package's, and empty for nil.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return "ModuleFailed"
}

// remote is an error that came over a wire.
type remote struct {
	err  error
	text string
}

func (r *remote) Error() string { return r.text }

func (r *remote) Is(target error) bool {
	return target == r.err || target == ErrModule && r.err == ErrModuleLost // these are the sentinels themselves
}

// FromReason is the error of a Reason with a text. A reason that is not known, of a newer node, is ErrModule.
func FromReason(reason, text string) error {
	for _, r := range reasons {
		if r.name == reason {
			return &remote{r.err, text}
		}
	}
	return &remote{ErrModule, text}
}
