package sqlserver

import (
	"strings"
	"unicode/utf16"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// check says whether what credentials hold can be told to the server as it is.
func check(all ...*rotation.Credential) error {
	for _, c := range all {
		for _, name := range []string{c.Username, c.Database} {
			if err := checkName(name); err != nil {
				return err
			}
		}
		password := string(c.Password.Reveal())
		if untold(password) {
			return rotation.Because(rotation.ErrInvalid, "the password of user %s holds a control character, such as a line's end, or one beyond U+FFFF", c.Username)
		}
		if n := units(password); n > maximumPassword {
			return rotation.Because(rotation.ErrInvalid, "the password of user %s has %d characters, and SQL Server takes %d", c.Username, n, maximumPassword)
		}
	}
	return nil
}

// checkName says whether a name is one of a login of SQL Server's own, or of a database. A backslash is in names of Windows, with which the
// driver would prove the password to another protocol.
func checkName(name string) error {
	switch {
	case untold(name):
		return rotation.Because(rotation.ErrInvalid, "a name of a user or a database holds a control character, or one beyond U+FFFF")
	case units(name) > maximumUsername:
		return rotation.Because(rotation.ErrInvalid, "a name of a user or a database has over %d characters", maximumUsername)
	case strings.ContainsRune(name, '\\'):
		return rotation.Because(rotation.ErrInvalid, `%s: a name with \ is one of Windows, whose passwords SQL Server does not have`, name)
	}
	return nil
}

// untold finds what does not reach a server as it is. A backslash before a line's end takes both out of a literal, and of a login's text
// the driver tells as many UTF-16 units as it has characters, so that one beyond U+FFFF cuts it short.
// https://learn.microsoft.com/en-us/sql/t-sql/language-elements/sql-server-utilities-statements-backslash
func untold(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r > 0xffff })
}

// units is a text's length as SQL Server counts it.
func units(text string) int { return len(utf16.Encode([]rune(text))) }

// literal quotes a string that check lets pass.
func literal(text string) string { return "N'" + strings.ReplaceAll(text, "'", "''") + "'" }

// identifier quotes a name.
func identifier(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

// keyword is ON or OFF.
func keyword(on bool) string {
	if on {
		return "ON"
	}
	return "OFF"
}
