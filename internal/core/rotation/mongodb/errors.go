package mongodb

import (
	"errors"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"strongroom.dev/strongroom/internal/core/rotation"
)

const (
	textChanging  = "the server is starting or shutting down, or the replica set is changing its primary"
	textMajority  = "a majority of the replica set has not confirmed the change in time"
	textElsewhere = "the server does not keep its users by commands, as MongoDB Atlas does not"
)

// causes by code. https://www.mongodb.com/docs/manual/reference/error-codes/
var causes = map[int32]struct {
	cause error
	text  string
}{
	18: {rotation.ErrRefused, "the password is not the user's, or the database that dbname names has no such user"},
	13: {rotation.ErrPermission, "the user that acts may not do it: no user changes its own password without the action changeOwnPassword, and an admin needs " +
		"viewUser, createUser, changePassword, grantRole and revokeRole, as the role userAdminAnyDatabase has them"},
	11:    {rotation.ErrInvalid, "the server has no such user"},
	31:    {rotation.ErrInvalid, "a role of the first user is not there any more"},
	59:    {rotation.ErrInvalid, textElsewhere},
	8000:  {rotation.ErrInvalid, textElsewhere},
	334:   {rotation.ErrBarred, "the user, or the server, has no SCRAM-SHA-256, by which logins are proven here: set the password anew, or name it in authenticationMechanisms"},
	50692: {rotation.ErrPassword, "it has characters that SCRAM does not allow (SASLprep, RFC 4013)"},
	10107: {rotation.ErrUnreachable, textChanging},
	13435: {rotation.ErrUnreachable, textChanging},
	13436: {rotation.ErrUnreachable, textChanging},
	189:   {rotation.ErrUnreachable, textChanging},
	91:    {rotation.ErrUnreachable, textChanging},
	11600: {rotation.ErrUnreachable, textChanging},
	11602: {rotation.ErrUnreachable, textChanging},
	50:    {rotation.ErrUnreachable, "the server did not answer in time"},
	262:   {rotation.ErrUnreachable, "the server did not answer in time"},
	64:    {rotation.ErrUnreachable, textMajority},
	79:    {rotation.ErrUnreachable, textMajority},
	100:   {rotation.ErrUnreachable, textMajority},
	51003: {rotation.ErrServer, "somebody else made the user at the same time"},
}

// causeOf says why a command failed, without the server's words, which may quote the command.
func causeOf(err error) error {
	if err == nil {
		return nil
	}
	code, ok := codeOf(err)
	if !ok {
		return connectCause(err)
	}
	known, ok := causes[code]
	if !ok {
		return rotation.Because(rotation.ErrServer, "error %d", code)
	}
	return rotation.Because(known.cause, "%s (error %d)", known.text, code)
}

// codeOf is the server's code of an error.
func codeOf(err error) (int32, bool) {
	var command mongo.CommandError
	if errors.As(err, &command) {
		return command.Code, true
	}
	var write mongo.WriteException
	if errors.As(err, &write) && write.WriteConcernError != nil {
		return int32(write.WriteConcernError.Code), true
	}
	return 0, false
}

// connectCause says why there is no connection, or no longer one.
func connectCause(err error) error {
	if errors.Is(err, errRounds) {
		return rotation.Because(rotation.ErrInvalid, "the server asks for more iterations in a login by SCRAM than are made: scramSHA256IterationCount is to be below 10,000,000")
	}
	if rotation.IsTLS(err) {
		return rotation.Because(rotation.ErrTLS, "the server's certificate is not trusted for this host, or it speaks no TLS on this port (tls.mode disable connects without)")
	}
	return rotation.Because(rotation.ErrUnreachable, "no connection was made, it broke, or the server did not answer in time")
}
