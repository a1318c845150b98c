package mysql

import (
	"errors"
	"strings"

	"github.com/go-sql-driver/mysql"

	"strongroom.dev/strongroom/internal/core/rotation"
)

const (
	textPermission = "the user that acts may not do it: an admin needs CREATE USER ON *.* and SELECT ON mysql.*, and for a second user the first one's rights WITH GRANT OPTION"
	textFull       = "the server has no connections left"
	textEnding     = "the server is shutting down, or ended the connection"
	textRule       = "a rule of the server, such as validate_password"
	// optionPrevents is ER_OPTION_PREVENTS_STATEMENT, which is about several options.
	optionPrevents = 1290
	// cannotUser is ER_CANNOT_USER.
	cannotUser = 1396
)

// causes by number. https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html https://mariadb.com/kb/en/mariadb-error-code-reference/
var causes = map[uint16]struct {
	cause error
	text  string
}{
	1045:       {rotation.ErrRefused, "the password is not the user's, or it may not log in from here"},
	1698:       {rotation.ErrBarred, "the user logs in otherwise than by a password"},
	1130:       {rotation.ErrBarred, "the server lets nobody log in from here"},
	1862:       {rotation.ErrExpired, "log in once and set another"},
	1820:       {rotation.ErrExpired, "log in once and set another"},
	3118:       {rotation.ErrBarred, "the account is locked"},
	4151:       {rotation.ErrBarred, "the account is locked"},
	3955:       {rotation.ErrBarred, "the account is locked after logins that failed"},
	1251:       {rotation.ErrInvalid, "the server asks for a plugin that is not spoken here"},
	cannotUser: {rotation.ErrInvalid, "the server has no such user, or one that cannot be changed"},
	1133:       {rotation.ErrInvalid, "the server has no such user"},
	1141:       {rotation.ErrInvalid, "the server has no such user"},
	1470:       {rotation.ErrInvalid, "the name is longer than the server's limit"},
	1836:       {rotation.ErrInvalid, "the server is a replica that is read only: host names the primary"},
	1044:       {rotation.ErrPermission, textPermission},
	1142:       {rotation.ErrPermission, textPermission},
	1143:       {rotation.ErrPermission, textPermission},
	1227:       {rotation.ErrPermission, textPermission},
	1370:       {rotation.ErrPermission, textPermission},
	1410:       {rotation.ErrPermission, textPermission},
	1819:       {rotation.ErrPassword, textRule},
	3638:       {rotation.ErrPassword, "the server has had this password before"},
	4165:       {rotation.ErrPassword, textRule},
	3159:       {rotation.ErrTLS, "the server asks for TLS; tls.mode disable connects without"},
	1040:       {rotation.ErrUnreachable, textFull},
	1203:       {rotation.ErrUnreachable, textFull},
	1226:       {rotation.ErrUnreachable, textFull},
	1129:       {rotation.ErrUnreachable, "the server has blocked this host after errors: mysqladmin flush-hosts"},
	1053:       {rotation.ErrUnreachable, textEnding},
	1927:       {rotation.ErrUnreachable, textEnding},
	3169:       {rotation.ErrUnreachable, textEnding},
}

// causeOf says why a statement failed, without the server's words, which may quote the statement.
func causeOf(err error) error {
	if err == nil {
		return nil
	}
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) {
		return rotation.Because(rotation.ErrUnreachable, "the connection broke, or the server did not answer in time")
	}
	if refused.Number == optionPrevents {
		return prevented(refused.Message)
	}
	known, ok := causes[refused.Number]
	if !ok {
		return rotation.Because(rotation.ErrServer, "error %d", refused.Number)
	}
	return rotation.Because(known.cause, "%s (error %d)", known.text, refused.Number)
}

// prevented tells the options apart by their names in the server's words.
func prevented(message string) error {
	switch {
	case strings.Contains(message, "read-only"), strings.Contains(message, "read_only"):
		return rotation.Because(rotation.ErrInvalid, "the server is read only: host names the primary (error %d)", optionPrevents)
	case strings.Contains(message, "strict-password-validation"):
		return rotation.Because(rotation.ErrPassword, "the server checks passwords with a plugin and takes none that are hashed; those of Strongroom are, so that no log has them: "+
			"SET GLOBAL strict_password_validation = OFF (error %d)", optionPrevents)
	case strings.Contains(message, "skip-grant-tables"):
		return rotation.Because(rotation.ErrInvalid, "the server runs without its grant tables (error %d)", optionPrevents)
	}
	return rotation.Because(rotation.ErrServer, "an option of the server prevents it (error %d)", optionPrevents)
}

// connectCause says why no connection was made.
func connectCause(err error) error {
	var refused *mysql.MySQLError
	switch {
	case errors.As(err, &refused):
		return causeOf(err)
	case errors.Is(err, mysql.ErrNoTLS):
		return rotation.Because(rotation.ErrTLS, "the server has TLS turned off; tls.mode disable connects without")
	case rotation.IsTLS(err):
		return rotation.Because(rotation.ErrTLS, "the server's certificate is not trusted for this host, or it refuses this version of TLS")
	case errors.Is(err, mysql.ErrCleartextPassword), errors.Is(err, mysql.ErrOldPassword), errors.Is(err, mysql.ErrUnknownPlugin):
		return rotation.Because(rotation.ErrInvalid, "the server asks for the password in the clear, or by a plugin that is not spoken here")
	}
	return rotation.Because(rotation.ErrUnreachable, "%s", rotation.Unconnected(err))
}
