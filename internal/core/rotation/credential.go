package rotation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// maximumMembers of a secret's JSON document.
	maximumMembers = 256
	// maximumHost is the length of a host: a DNS name's (RFC 1035, 2.3.4).
	maximumHost = 255
	// maximumUsername is the length of a user's name in bytes that any engine takes.
	maximumUsername = 256
)

// Credential is what a secret's value says of one user of one server, in the members that AWS's rotation functions expect: engine,
// host, port, dbname, username, password. Other members are kept as they are.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
type Credential struct {
	// Engine as the value names it, for example postgres. Empty if it does not.
	Engine string
	// Host is a name or an address, without a port.
	Host string
	// Port is 0 if the value names none, for the engine's default.
	Port uint16
	// Database is dbname, empty for the engine's default.
	Database string
	// Username and Password of the user. The password is the Credential's own: Wipe overwrites it.
	Username string
	Password secretbytes.Bytes

	members map[string]json.RawMessage
	// passwordKey is the member that holds the password.
	passwordKey string
}

// Wipe overwrites the password, and what else the value held.
func (c *Credential) Wipe() {
	if c == nil {
		return
	}
	c.Password.Wipe()
	for _, raw := range c.members {
		clear(raw)
	}
}

// Parse reads a secret's value. passwordKey is the member with the password; "password" if empty. The caller wipes the result. The
// error wraps ErrInvalid, and names members but never what they hold.
func Parse(value secretbytes.Bytes, passwordKey string) (*Credential, error) {
	if passwordKey == "" {
		passwordKey = "password"
	}
	c := &Credential{passwordKey: passwordKey}
	if json.Unmarshal(value.Reveal(), &c.members) != nil || c.members == nil {
		return nil, Because(ErrInvalid, `the value is no JSON object: put one with the members host, username and %s, as AWS's rotation functions expect`, passwordKey)
	}
	if len(c.members) > maximumMembers {
		c.Wipe()
		return nil, Because(ErrInvalid, "the value has %d members; at most %d are looked at", len(c.members), maximumMembers)
	}
	if err := c.read(); err != nil {
		c.Wipe()
		return nil, err
	}
	return c, nil
}

func (c *Credential) read() error {
	for _, m := range []struct {
		name     string
		into     *string
		required bool
		maximum  int
	}{
		{"engine", &c.Engine, false, 64},
		{"host", &c.Host, true, maximumHost},
		{"dbname", &c.Database, false, 256},
		{"username", &c.Username, true, maximumUsername},
	} {
		if err := c.text(m.name, m.into, m.required, m.maximum); err != nil {
			return err
		}
	}
	var password string
	if err := c.text(c.passwordKey, &password, true, 4096); err != nil {
		return err
	}
	c.Password = secretbytes.Own([]byte(password))
	return c.readPort()
}

// text reads a member that is a string.
func (c *Credential) text(name string, into *string, required bool, maximum int) error {
	raw, has := c.members[name]
	if has && json.Unmarshal(raw, into) != nil {
		return Because(ErrInvalid, "the member %s of the value is no string", name)
	}
	switch {
	case required && *into == "":
		return Because(ErrInvalid, "the value has no member %s", name)
	case len(*into) > maximum:
		return Because(ErrInvalid, "the member %s of the value has %d bytes; at most %d are taken", name, len(*into), maximum)
	case strings.ContainsRune(*into, 0):
		return Because(ErrInvalid, "the member %s of the value holds the character NUL", name)
	}
	return nil
}

// readPort takes a number or, as some of AWS's own secrets have it, a number in quotes.
func (c *Credential) readPort() error {
	raw, has := c.members["port"]
	if !has || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	text := strings.Trim(string(raw), `"`)
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return Because(ErrInvalid, "the member port of the value is no number from 1 to 65535")
	}
	c.Port = uint16(port)
	return nil
}

// With is the value for another user or password of the same server, all other members as they are. The caller wipes it.
func (c *Credential) With(username string, password secretbytes.Bytes) (secretbytes.Bytes, error) {
	user, err := json.Marshal(username)
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("encoding a username: %w", err)
	}
	secret, err := encode(string(password.Reveal()))
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	defer clear(secret)
	var out bytes.Buffer
	out.Grow(c.size() + len(secret) + len(user))
	separator := byte('{')
	for _, name := range slices.Sorted(maps.Keys(c.members)) {
		raw := c.members[name]
		switch name {
		case "username":
			raw = user
		case c.passwordKey:
			raw = secret
		}
		key, err := json.Marshal(name)
		if err != nil {
			return secretbytes.Bytes{}, fmt.Errorf("encoding a member's name: %w", err)
		}
		out.WriteByte(separator)
		out.Write(key)
		out.WriteByte(':')
		out.Write(raw)
		separator = ','
	}
	out.WriteByte('}')
	return secretbytes.Own(out.Bytes()), nil
}

// size is what the members take, with room for names and punctuation, so that no copy of a password is left behind by a buffer that
// grew.
func (c *Credential) size() int {
	n := 2
	for name, raw := range c.members {
		n += 6*len(name) + len(raw) + 8
	}
	return n
}

// encode writes a string as JSON without turning <, > and & into escapes, which some readers of a connection string do not undo.
func encode(text string) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(6*len(text) + 8)
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		return nil, errors.New("encoding a password failed")
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// Named is what a JSON document says of a user, of which the password need not be there yet: false if it names none, or is no JSON object.
func Named(document, passwordKey string) (c *Credential, named bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(document), &members) != nil || members == nil {
		return nil, false
	}
	if passwordKey == "" {
		passwordKey = "password"
	}
	members[passwordKey] = json.RawMessage(`"none"`)
	text, err := json.Marshal(members)
	if err != nil {
		return nil, false
	}
	c, err = Parse(secretbytes.Own(text), passwordKey)
	return c, err == nil
}

// SameServer says whether two credentials are of one server. A rotation never takes a password of one to another: the value could
// have been changed to learn it.
func (c *Credential) SameServer(other *Credential) bool {
	return strings.EqualFold(c.Host, other.Host) && c.Port == other.Port
}

// server names a credential's server, for people.
func server(c *Credential) string {
	if c.Port == 0 {
		return c.Host
	}
	return c.Host + ":" + strconv.Itoa(int(c.Port))
}
