package redis

import (
	"errors"
	"regexp"
	"strings"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// causes by the first word of an error.
var causes = map[string]struct {
	cause error
	text  string
}{
	"WRONGPASS": {rotation.ErrRefused, "the password is not the user's, or the user is turned off"},
	"NOAUTH":    {rotation.ErrRefused, "the server asks for a password"},
	"NOPERM": {rotation.ErrPermission, "the user that acts may not do it: no user changes its own password in Redis, so set adminSecretRef to one with " +
		"+acl|getuser +acl|setuser +acl|save +config|rewrite"},
	"DENIED":     {rotation.ErrInvalid, "the server is in protected mode: give its users passwords and set protected-mode no"},
	"LOADING":    {rotation.ErrUnreachable, "the server is starting"},
	"BUSY":       {rotation.ErrUnreachable, "the server is busy with a script"},
	"MASTERDOWN": {rotation.ErrUnreachable, "the server is a replica that has lost its primary"},
	"MISCONF":    {rotation.ErrServer, "it cannot write to its disk"},
}

// code is the shape of an error's first word; anything else is not shown.
var code = regexp.MustCompile(`^[A-Z]{1,20}$`)

// refusedBy says whether an error is the server's, of a code.
func refusedBy(err error, code string) bool {
	var refused refusal
	return errors.As(err, &refused) && refused.code() == code
}

// says looks for words in the server's text.
func says(err error, words string) bool {
	var refused refusal
	return errors.As(err, &refused) && strings.Contains(refused.text, words)
}

// causeOf says why a command failed, without the server's words, which quote what it was told.
func causeOf(err error) error {
	if err == nil {
		return nil
	}
	var refused refusal
	switch {
	case errors.Is(err, errProtocol):
		return rotation.Because(rotation.ErrServer, "what answers does not speak Redis's protocol, or says more than is read")
	case !errors.As(err, &refused):
		return connectCause(err)
	case says(err, "max number of clients"):
		return rotation.Because(rotation.ErrUnreachable, "the server has no connections left")
	case says(err, "wrong number of arguments for 'auth'"), says(err, "Client sent AUTH"):
		return rotation.Because(rotation.ErrInvalid, "the server has no users: it is older than Redis 6")
	}
	if known, ok := causes[refused.code()]; ok {
		return rotation.Because(known.cause, "%s (%s)", known.text, refused.code())
	}
	if code.MatchString(refused.code()) {
		return rotation.Because(rotation.ErrServer, "error %s", refused.code())
	}
	return rotation.Because(rotation.ErrServer, "an error without a code")
}

// connectCause says why there is no connection, or no longer one.
func connectCause(err error) error {
	if rotation.IsTLS(err) {
		return rotation.Because(rotation.ErrTLS, "the server's certificate is not trusted for this host, or it speaks no TLS on this port (tls.mode disable connects without)")
	}
	return rotation.Because(rotation.ErrUnreachable, "no connection was made, it broke, or the server did not answer in time")
}
