package rotation

import (
	"context"
	"errors"
	"fmt"
)

// The versions of a secret that log in, in the words of errors.
const (
	pendingVersion  = "pending"
	currentVersion  = "current"
	previousVersion = "previous"
)

// AsAdmin says of an error that it is the admin who failed, whose credential is another secret's (adminSecretRef): a server's refusal of a login does not say whose it was. It is nil for no error.
func AsAdmin(admin *Credential, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("as the admin %s: %w", admin.Username, err)
}

// login logs in with a version of the secret. An error says which, if the server refused it: the one that is to come, or one that was good.
func (d *Database) login(ctx context.Context, c *Credential, version string) error {
	return withVersion(c, version, d.Engine.Login(ctx, c))
}

func withVersion(c *Credential, version string, err error) error {
	if !errors.Is(err, ErrRefused) {
		return err
	}
	return fmt.Errorf("as user %s, with the %s version of the secret: %w", c.Username, version, err)
}

// stored is a version that may log in.
type stored struct {
	*Credential
	version string
}

// good are the versions that were in force, the last first.
func (s *Stored) good() (out []stored) {
	for _, v := range []stored{{s.Current, currentVersion}, {s.Previous, previousVersion}} {
		if v.Credential != nil {
			out = append(out, v)
		}
	}
	return out
}
