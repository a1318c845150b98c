package sqlserver

import (
	"errors"
	"strings"

	mssql "github.com/microsoft/go-mssqldb"

	"strongroom.dev/strongroom/internal/core/rotation"
)

const (
	textPermission = "the user that acts may not do it, or there is no such user: an admin needs ALTER ANY LOGIN, VIEW ANY DEFINITION and CONNECT ANY DATABASE, " +
		"and to make users or for a second user the role db_owner of the database"
	textLocked      = "the login is locked after logins that failed"
	textExpired     = "the password has to be changed"
	textClosed      = "the database cannot be opened by this login, or there is none of this name"
	textRule        = "the password policy of the server (CHECK_POLICY)"
	textStarting    = "the server is starting, shutting down, paused or lets administrators in alone"
	textReplica     = "the database is a secondary replica or read only: host names the primary"
	textUnavailable = "the database is not available now"
	textFull        = "the server has no resources left"
	// refused says nothing of why: the error's state, which would, is told to the server's log alone, and clients get 1.
	// https://learn.microsoft.com/en-us/sql/relational-databases/errors-events/mssqlserver-18456-database-engine-error
	refused = 18456
)

// causes by number. https://learn.microsoft.com/en-us/sql/relational-databases/errors-events/database-engine-events-and-errors
var causes = map[int32]struct {
	cause error
	text  string
}{
	refused: {rotation.ErrRefused, "the password is not the login's, or the server has no such login or none but Windows's"},
	18452:   {rotation.ErrBarred, "the server takes logins of Windows alone"},
	18470:   {rotation.ErrBarred, "the login is disabled"},
	18486:   {rotation.ErrBarred, textLocked},
	15113:   {rotation.ErrBarred, textLocked},
	18487:   {rotation.ErrExpired, textExpired},
	18488:   {rotation.ErrExpired, textExpired},
	17892:   {rotation.ErrBarred, "a logon trigger of the server refuses it"},
	4060:    {rotation.ErrBarred, textClosed},
	4064:    {rotation.ErrBarred, textClosed},
	916:     {rotation.ErrBarred, textClosed},
	40532:   {rotation.ErrBarred, "the server knows no such name"},
	40615:   {rotation.ErrBarred, "a rule of the server's firewall lets nobody in from here"},
	15114:   {rotation.ErrPassword, "the password was changed too recently: the policy's minimum age"},
	15115:   {rotation.ErrPassword, "it cannot be used at this time, as one that the login has had before"},
	15116:   {rotation.ErrPassword, textRule + ": it is too short"},
	15117:   {rotation.ErrPassword, textRule + ": it is too long"},
	15118:   {rotation.ErrPassword, textRule + ": it is not complex enough"},
	15119:   {rotation.ErrPassword, textRule + ": a filter of Windows refuses it"},
	40630:   {rotation.ErrPassword, textRule + ": it is too short"},
	40631:   {rotation.ErrPassword, textRule + ": it is too long"},
	40632:   {rotation.ErrPassword, textRule + ": it is not complex enough"},
	15151:   {rotation.ErrPermission, textPermission},
	15247:   {rotation.ErrPermission, textPermission},
	229:     {rotation.ErrPermission, textPermission},
	230:     {rotation.ErrPermission, textPermission},
	262:     {rotation.ErrPermission, textPermission},
	297:     {rotation.ErrPermission, textPermission},
	300:     {rotation.ErrPermission, textPermission},
	4613:    {rotation.ErrPermission, textPermission},
	15007:   {rotation.ErrInvalid, "the server has no such login"},
	15023:   {rotation.ErrInvalid, "the database has a user or role of this name already"},
	15025:   {rotation.ErrInvalid, "the server has a login or role of this name already"},
	15063:   {rotation.ErrInvalid, "the login has a user of another name in the database"},
	33233:   {rotation.ErrInvalid, "the database is not contained: users with passwords are made in those alone"},
	3906:    {rotation.ErrInvalid, textReplica},
	976:     {rotation.ErrUnreachable, textUnavailable},
	978:     {rotation.ErrInvalid, textReplica},
	983:     {rotation.ErrUnreachable, textUnavailable},
	40613:   {rotation.ErrUnreachable, textUnavailable},
	1205:    {rotation.ErrUnreachable, "the statement lost to another (deadlock)"},
	1222:    {rotation.ErrUnreachable, "the statement waited too long for another"},
	17142:   {rotation.ErrUnreachable, textStarting},
	17187:   {rotation.ErrUnreachable, textStarting},
	18401:   {rotation.ErrUnreachable, textStarting},
	18451:   {rotation.ErrUnreachable, textStarting},
	18461:   {rotation.ErrUnreachable, textStarting},
	6005:    {rotation.ErrUnreachable, textStarting},
	17300:   {rotation.ErrUnreachable, textFull},
	17809:   {rotation.ErrUnreachable, textFull},
	701:     {rotation.ErrUnreachable, textFull},
	10928:   {rotation.ErrUnreachable, textFull},
	10929:   {rotation.ErrUnreachable, textFull},
	40501:   {rotation.ErrUnreachable, textFull},
}

// causeOf says why a statement failed, without the server's words, which may quote the statement.
func causeOf(err error) error {
	if err == nil {
		return nil
	}
	var said mssql.Error
	if !errors.As(err, &said) {
		return rotation.Because(rotation.ErrUnreachable, "the connection broke, or the server did not answer in time")
	}
	number := telling(said)
	known, ok := causes[number]
	if !ok {
		return rotation.Because(rotation.ErrServer, "error %d", number)
	}
	return rotation.Because(known.cause, "%s (error %d)", known.text, number)
}

// telling is the number of the error, among all that a server told, that says why: a login that fails since its database cannot be opened is
// told 4060 and then 18456.
func telling(said mssql.Error) int32 {
	for _, one := range said.All {
		if _, known := causes[one.Number]; known && one.Number != refused {
			return one.Number
		}
	}
	return said.Number
}

// connectCause says why no connection was made.
func connectCause(err error, d *dialer) error {
	var said mssql.Error
	switch {
	case d.elsewhere.Load():
		return rotation.Because(rotation.ErrInvalid, "the server sends logins to another one (routing), to which no password is told: host names that one")
	case errors.As(err, &said):
		return causeOf(err)
	case strings.Contains(err.Error(), "server does not support encryption"):
		return rotation.Because(rotation.ErrTLS, "the server has TLS turned off; tls.mode disable connects without")
	case strings.Contains(err.Error(), errNoTLS.Error()):
		return rotation.Because(rotation.ErrTLS, "the server asks for TLS, which tls.mode disable does without")
	case !d.broken.Load() && (rotation.IsTLS(err) || strings.HasPrefix(err.Error(), "TLS Handshake failed")):
		return rotation.Because(rotation.ErrTLS, "the server's certificate is not trusted for this host, or it refuses this version of TLS")
	}
	return rotation.Because(rotation.ErrUnreachable, "no connection was made, it broke, or the server did not answer in time")
}
