package mysql

import (
	"strings"
	"testing"
)

var shop = &account{username: "shop", host: "%"}

func TestGrantsAreReadAndGivenToAnother(t *testing.T) {
	for _, tt := range []struct{ what, line, want string }{
		{"no rights", "GRANT USAGE ON *.* TO `shop`@`%`", ""},
		{"a hash, TLS and limits", "GRANT USAGE ON *.* TO `shop`@`%` IDENTIFIED BY PASSWORD '*0D' REQUIRE SSL WITH MAX_USER_CONNECTIONS 3", ""},
		{"two plugins", "GRANT USAGE ON *.* TO `shop`@`%` IDENTIFIED VIA ed25519 USING 'cD+/' OR unix_socket", ""},
		{"all of a database", "GRANT ALL PRIVILEGES ON `shop`.* TO `shop`@`%`", "GRANT ALL PRIVILEGES ON `shop`.* TO 'b'@'%'"},
		{"with the right to hand on", "GRANT SELECT, INSERT ON `shop`.`t` TO `shop`@`%` WITH GRANT OPTION", "GRANT SELECT, INSERT ON `shop`.`t` TO 'b'@'%' WITH GRANT OPTION"},
		{"that right alone", "GRANT USAGE ON `shop`.* TO `shop`@`%` WITH GRANT OPTION", "GRANT USAGE ON `shop`.* TO 'b'@'%' WITH GRANT OPTION"},
		{"columns, quoted or not", "GRANT SELECT (`a``b`, c), INSERT (d) ON `shop`.`t` TO `shop`@`%`", "GRANT SELECT (`a``b`, `c`), INSERT (`d`) ON `shop`.`t` TO 'b'@'%'"},
		{"a routine", "GRANT EXECUTE ON PROCEDURE `shop`.`sell` TO `shop`@`%`", "GRANT EXECUTE ON PROCEDURE `shop`.`sell` TO 'b'@'%'"},
		{"a package", "GRANT EXECUTE ON PACKAGE BODY `shop`.`p` TO `shop`@`%`", "GRANT EXECUTE ON PACKAGE BODY `shop`.`p` TO 'b'@'%'"},
		{"MySQL 5.7's quotes", "GRANT SELECT ON `shop`.* TO 'shop'@'%'", "GRANT SELECT ON `shop`.* TO 'b'@'%'"},
		{"a database named by an attacker", "GRANT SELECT ON `a``.* TO x; -- `.* TO `shop`@`%`", "GRANT SELECT ON `a``.* TO x; -- `.* TO 'b'@'%'"},
	} {
		g, err := parseGrant(tt.line, shop)
		if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		if err := g.check(); err != nil {
			t.Errorf("%s: %v", tt.what, err)
		}
		if got := g.to("'b'@'%'"); got != tt.want {
			t.Errorf("%s: %s", tt.what, got)
		}
	}
}

func TestGrantsThatAreNotUnderstoodToTheLastTokenAreRefused(t *testing.T) {
	for what, line := range map[string]string{
		"nothing":                      "",
		"a role of MariaDB's":          "GRANT `clerk` TO `shop`@`%`",
		"a role of MySQL's":            "GRANT `clerk`@`%` TO `shop`@`%` WITH ADMIN OPTION",
		"a default role":               "SET DEFAULT ROLE `clerk` FOR `shop`@`%`",
		"a partial revoke":             "REVOKE INSERT ON `shop`.* FROM `shop`@`%`",
		"a proxy":                      "GRANT PROXY ON ''@'%' TO 'shop'@'%'",
		"another user's":               "GRANT SELECT ON `shop`.* TO `root`@`%`",
		"the user from another host":   "GRANT SELECT ON `shop`.* TO `shop`@`localhost`",
		"a second statement":           "GRANT SELECT ON `shop`.* TO `shop`@`%`; DROP USER root",
		"words at the end":             "GRANT SELECT ON `shop`.* TO `shop`@`%` AND MORE",
		"an option that is unknown":    "GRANT SELECT ON `shop`.* TO `shop`@`%` WITH ADMIN OPTION",
		"a quote that stays open":      "GRANT SELECT ON `shop.* TO `shop`@`%`",
		"a string that stays open":     `GRANT USAGE ON *.* TO 'shop'@'%\'`,
		"a comment":                    "GRANT SELECT /* */ ON `shop`.* TO `shop`@`%`",
		"a column without quotes":      "GRANT SELECT (a) ON *.* TO x -- ) ON `shop`.`t` TO `shop`@`%`",
		"a column as a right":          "GRANT SELECT (a, b ON `shop`.`t` TO `shop`@`%`",
		"a right in small letters":     "GRANT select ON `shop`.* TO `shop`@`%`",
		"no right":                     "GRANT ON `shop`.* TO `shop`@`%`",
		"a database without quotes":    "GRANT SELECT ON shop.* TO `shop`@`%`",
		"a table of all databases":     "GRANT SELECT ON *.`t` TO `shop`@`%`",
		"no host":                      "GRANT SELECT ON `shop`.* TO `shop`",
		"a hash that is missing":       "GRANT USAGE ON *.* TO `shop`@`%` IDENTIFIED BY PASSWORD",
		"a password that is not one":   "GRANT USAGE ON *.* TO `shop`@`%` IDENTIFIED 'x'",
		"a database named like a star": "GRANT SELECT ON `*`.`t` TO `shop`@`%`",
	} {
		if g, err := parseGrant(line, shop); err == nil {
			t.Errorf("%s: %+v", what, g)
		}
	}
}

func TestWhatIsMoreThanAnApplicationNeeds(t *testing.T) {
	for _, tt := range []struct {
		rights string
		fine   bool
	}{
		{"USAGE ON *.*", true},
		{"LOCK TABLES, CREATE TEMPORARY TABLES, SHOW DATABASES ON *.*", true},
		{"ALL PRIVILEGES ON `shop`.*", true},
		{"SELECT ON `mysql_shop`.*", true},
		{"SELECT ON `mysql\\_`.*", true},
		{"SELECT ON `%`.`t`", true}, // the name of a table's database is no pattern
		{"SELECT ON *.*", false},
		{"LOCK TABLES, BINLOG_ADMIN ON *.*", false},
		{"SELECT ON `mysql`.*", false},
		{"SELECT ON `MySQL`.`user`", false},
		{"EXECUTE ON PROCEDURE `mysql`.`p`", false},
		{"SELECT ON `%`.*", false},
		{"SELECT ON `%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%l`.*", false},
		{"SELECT ON `_____`.*", false},
		{"SELECT ON `my%`.*", false},
		{"SELECT ON `m\\ysql`.*", false},
	} {
		g, err := parseGrant("GRANT "+tt.rights+" TO `shop`@`%`", shop)
		if err != nil {
			t.Errorf("%s: %v", tt.rights, err)
			continue
		}
		if err := g.check(); (err == nil) != tt.fine {
			t.Errorf("%s: %v", tt.rights, err)
		}
	}
	g, err := parseGrant("GRANT USAGE ON *.* TO `shop`@`%` WITH GRANT OPTION", shop)
	if err != nil || g.check() == nil {
		t.Errorf("the right to hand on all: %+v, %v", g, err)
	}
}

func TestHowAUserLogsInIsRead(t *testing.T) {
	for line, want := range map[string]string{
		"CREATE USER `shop`@`%`": native,
		"CREATE USER `shop`@`%` IDENTIFIED BY PASSWORD '*0D' REQUIRE SSL":                 native,
		"CREATE USER `shop`@`%` IDENTIFIED VIA ed25519 USING 'cD' ACCOUNT LOCK":           ed25519,
		"CREATE USER `shop`@`%` IDENTIFIED VIA unix_socket":                               "unix_socket",
		"CREATE USER `shop`@`%` IDENTIFIED VIA ed25519 USING 'cD' OR unix_socket":         "",
		"CREATE USER `shop`@`%` IDENTIFIED VIA mysql_native_password OR ed25519 USING ''": "",
		"CREATE USER shop":                         "",
		"CREATE USER `shop`@`%` IDENTIFIED AS 'x'": "",
	} {
		if got, err := pluginOf(line); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", line, got, err)
		}
	}
}

// What is given to another is, read again, the same: nothing in a name becomes a part of the statement.
func FuzzAGrantGivenToAnotherIsTheSame(f *testing.F) {
	for _, line := range []string{
		"GRANT SELECT (`a``b`, c), INSERT ON `shop`.`t` TO `shop`@`%` WITH GRANT OPTION", "GRANT USAGE ON *.* TO `shop`@`%` IDENTIFIED VIA ed25519 USING 'c\\'D' OR unix_socket",
		"GRANT EXECUTE ON PACKAGE BODY `a`.`b` TO 'shop'@'%' REQUIRE ISSUER '/CN=a' SUBJECT 'b'", "GRANT ALL PRIVILEGES ON `\\_%`.* TO `shop`@`%`",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		g, err := parseGrant(line, shop)
		if err != nil {
			return
		}
		statement := g.to("`shop`@`%`")
		if statement == "" {
			return
		}
		again, err := parseGrant(statement, shop)
		if err != nil {
			t.Fatalf("%q became %q: %v", line, statement, err)
		}
		if second := again.to("`shop`@`%`"); second != statement || (again.check() == nil) != (g.check() == nil) {
			t.Errorf("%q became %q and then %q", line, statement, second)
		}
	})
}

func FuzzHowAUserLogsIn(f *testing.F) {
	f.Add("CREATE USER `shop`@`%` IDENTIFIED VIA ed25519 USING 'cD' OR unix_socket")
	f.Add("CREATE USER `shop`@`%`")
	f.Fuzz(func(t *testing.T, line string) {
		if plugin, err := pluginOf(line); err == nil && plugin != native && !strings.Contains(line, plugin) {
			t.Errorf("%q: %q", line, plugin)
		}
	})
}
