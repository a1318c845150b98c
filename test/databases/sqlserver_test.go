package databases_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"strongroom.dev/strongroom/test/databases"
)

// A stand-in that let pass what SQL Server refuses would prove nothing.
func TestTheStandInForSQLServerRefusesWhatThatRefuses(t *testing.T) {
	ctx := context.Background()
	server, err := databases.StartSQLServer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop() }()
	server.Change(func(c *databases.SQLCatalog) {
		c.Login("shop", "old")
		c.User("shop", "shop")
		c.Login("strict", "old").Policy = true
	})
	open := func(user, password, database string) *sql.DB {
		return sql.OpenDB(mssql.NewConnectorConfig(msdsn.Config{
			Host: databases.Host, Port: uint64(server.Port), Database: database, User: user, Password: password, Protocols: []string{"tcp"}, Encryption: msdsn.EncryptionDisabled,
		}))
	}
	for _, tt := range []struct {
		user, password, database, statement string
		want                                int32
	}{
		{"shop", "new", "shop", "ALTER LOGIN [shop] WITH PASSWORD = N'a' OLD_PASSWORD = N'old'", 18456},
		{"nobody", "old", "shop", "", 18456},
		{"shop", "old", "payroll", "", 18456},
		{"strict", "old", "shop", "", 18456},
		{"shop", "old", "shop", "ALTER LOGIN [shop] WITH PASSWORD = N'new' OLD_PASSWORD = N'wrong'", 15151},
		{"shop", "old", "shop", "ALTER LOGIN [shop] WITH PASSWORD = N'new'", 15151},
		{"shop", "old", "shop", "ALTER LOGIN [strict] WITH PASSWORD = N'new' OLD_PASSWORD = N'old'", 15151},
		{"shop", "old", "shop", "ALTER LOGIN [nobody] WITH PASSWORD = N'new'", 15151},
		{"shop", "old", "shop", "CREATE LOGIN [another] WITH PASSWORD = N'Long enough 1'", 15247},
		{"shop", "old", "shop", "CREATE USER [shop2] FOR LOGIN [strict]", 15247},
		{"shop", "old", "shop", "GRANT SELECT TO [shop]", 15151},
		{"shop", "old", "shop", "SELECT name FROM [model].sys.database_principals WHERE owning_principal_id IN (5)", 916},
		{"shop", "old", "shop", "SELECT name FROM [nowhere].sys.database_principals WHERE owning_principal_id IN (5)", 911},
		{server.Admin, server.Password, "shop", "ALTER LOGIN [sa] WITH PASSWORD = N'Long enough 1'", 15151},
		{server.Admin, server.Password, "shop", "ALTER LOGIN [strict] WITH PASSWORD = N'short'", 15116},
		{server.Admin, server.Password, "shop", "ALTER LOGIN [strict] WITH PASSWORD = N'longenough'", 15118},
		{server.Admin, server.Password, "shop", "CREATE LOGIN [SHOP ] WITH PASSWORD = N'Long enough 1'", 15025},
		{server.Admin, server.Password, "shop", "CREATE USER [shop] FOR LOGIN [shop]", 15023},
		{server.Admin, server.Password, "shop", "CREATE USER [island] WITH PASSWORD = N'Long enough 1'", 33233},
		{server.Admin, server.Password, "shop", "DENY VIEW ANY DATABASE TO [shop] CASCADE", 4621},
		{server.Admin, server.Password, "master", "DENY VIEW ANY DATABASE TO [shop] CASCADE", 15151},
		{server.Admin, server.Password, "shop", "ALTER ROLE [none] ADD MEMBER [shop]", 15151},
		{server.Admin, server.Password, "shop", "DROP LOGIN [shop]", 102},
		{server.Admin, server.Password, "shop", "SELECT 1", 102},
		{server.Admin, server.Password, "shop", "ALTER LOGIN [shop] WITH PASSWORD = N'a'; DROP LOGIN [shop]", 102},
		{server.Admin, server.Password, "shop", "ALTER LOGIN [shop] WITH PASSWORD = N'a", 102},
		{server.Admin, server.Password, "shop", "ALTER LOGIN shop WITH PASSWORD = N'a'", 102},
		{server.Admin, server.Password, "shop", "GRANT SELECT ON [dbo].[t] TO [shop]", 102},
	} {
		db := open(tt.user, tt.password, tt.database)
		_, err := db.ExecContext(ctx, tt.statement+" ")
		var said mssql.Error
		if !errors.As(err, &said) || said.Number != tt.want {
			t.Errorf("%s, %s: %v", tt.user, tt.statement, err)
		}
		_ = db.Close()
	}
}
