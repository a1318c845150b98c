package rotation

import (
	"errors"
	"fmt"
)

// Why a step fails. A server's own words are never part of an error: some servers quote the statement, and with it the password.
var (
	// ErrInvalid says that a value or a configuration cannot be rotated as it is. Somebody has to change it.
	ErrInvalid = errors.New("the secret cannot be rotated as it is")
	// ErrForeign says, beside ErrInvalid, that the pending version is not one that the current one can be followed by, so that no attempt with it can succeed: another is to be derived.
	ErrForeign = errors.New("the pending version does not follow the current one")
	// ErrInForce says, beside ErrInvalid, that the pending version is of the user in force where users alternate: the rotation that it is of is over.
	ErrInForce = errors.New("the pending version is of the user in force")
	// ErrUnreachable says that no connection was made or that it broke. Whether a change was carried out is then not known.
	ErrUnreachable = errors.New("the server cannot be reached")
	// ErrTLS says that the server's certificate, or its refusal of TLS, ended the connection.
	ErrTLS = errors.New("no trusted TLS connection")
	// ErrRefused says that the server knows no such user, or another password of it.
	ErrRefused = errors.New("the login is refused")
	// ErrBarred is an ErrRefused that says nothing of the password: the user may not log in, whatever it is.
	ErrBarred = fmt.Errorf("%w, whatever the password", ErrRefused)
	// ErrExpired is an ErrBarred that another password ends.
	ErrExpired = fmt.Errorf("%w, since it has expired", ErrBarred)
	// ErrPermission says that the user that acts may not do it.
	ErrPermission = errors.New("permission denied")
	// ErrPassword says that the server's rules refuse the new password.
	ErrPassword = errors.New("the server refuses the new password")
	// ErrDrift says that no stored version logs in, and nothing that may set another is configured or works.
	ErrDrift = errors.New("no stored version of the secret logs in")
	// ErrServer says that the server failed in another way.
	ErrServer = errors.New("the server failed")
)

// Because is an error of one of this package's causes, with what a person needs to know. The text must hold nothing that a server
// said of a statement.
func Because(cause error, format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{cause}, args...)...)
}
