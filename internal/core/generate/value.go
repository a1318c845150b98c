package generate

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// MaximumTemplate is the length of a JSON template in bytes.
	MaximumTemplate = 16384
	maximumDepth    = 32
)

// JSON makes a JSON document as AWS's rotation functions expect it: the template's members in their order, and one more
// that is generated.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
type JSON struct {
	// Template is a JSON object without the generated member.
	Template string
	// Key is the name of the generated member.
	Key string
	// Password says how it is made.
	Password Password
}

// Validate implements Generator.
func (j JSON) Validate() error {
	if _, err := j.members(); err != nil {
		return err
	}
	return j.Password.Validate()
}

// members is the template in compact form without its closing brace.
func (j JSON) members() ([]byte, error) {
	switch {
	case len(j.Template) > MaximumTemplate:
		return nil, fmt.Errorf("%w: template has %d bytes; at most %d are allowed", ErrInvalid, len(j.Template), MaximumTemplate)
	case j.Key == "":
		return nil, fmt.Errorf("%w: key is empty; name the member to generate", ErrInvalid)
	}
	if err := j.scan(); err != nil {
		return nil, err
	}
	compact := jsontext.Value(j.Template).Clone()
	if err := compact.Compact(); err != nil {
		return nil, fmt.Errorf("%w: template is no valid JSON: %s", ErrInvalid, reasonOf(err))
	}
	return compact[:len(compact)-1], nil
}

// scan reads the template to its end: one JSON object, not too deep, without the member to generate.
func (j JSON) scan() error {
	decoder := jsontext.NewDecoder(bytes.NewReader([]byte(j.Template)))
	if decoder.PeekKind() != jsontext.KindBeginObject {
		return fmt.Errorf("%w: template is no JSON object; write {} for an empty one", ErrInvalid)
	}
	for depth := -1; depth != 0; { // to the end of the object
		token, err := decoder.ReadToken()
		if err != nil {
			return fmt.Errorf("%w: template is no valid JSON: %s", ErrInvalid, reasonOf(err))
		}
		if depth = decoder.StackDepth(); depth > maximumDepth {
			return fmt.Errorf("%w: template is nested deeper than %d", ErrInvalid, maximumDepth)
		}
		isName := depth == 1 && decoder.StackPointer() != "" && token.Kind() == jsontext.KindString && nameExpected(decoder)
		if isName && token.String() == j.Key {
			return fmt.Errorf("%w: template has a member %q already, which is the one to generate; remove it", ErrInvalid, j.Key)
		}
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: template has more than one JSON object", ErrInvalid)
	}
	return nil
}

// nameExpected tells whether the token just read was a member's name: an odd number of tokens of the object is read then.
func nameExpected(d *jsontext.Decoder) bool {
	kind, length := d.StackIndex(d.StackDepth())
	return kind == jsontext.KindBeginObject && length%2 == 1
}

func reasonOf(err error) string {
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) && syntactic.Err != nil {
		return fmt.Sprintf("%v at byte %d", syntactic.Err, syntactic.ByteOffset)
	}
	return err.Error()
}

// Generate implements Generator.
func (j JSON) Generate(r io.Reader) (secretbytes.Bytes, error) {
	document, err := j.members()
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	password, err := j.Password.Generate(r)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	defer password.Wipe()
	secretbytes.Do(func() {
		if len(document) > 1 {
			document = append(document, ',')
		}
		if document, err = jsontext.AppendQuote(document, j.Key); err != nil {
			return
		}
		document = append(document, ':')
		if document, err = jsontext.AppendQuote(document, password.Reveal()); err != nil {
			return
		}
		document = append(document, '}')
	})
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("%w: key is no valid text", ErrInvalid)
	}
	return secretbytes.Own(document), nil
}

// Encoding is how random bytes are written (RFC 4648).
type Encoding string

// The encodings.
const (
	// Base64 is standard base64 with padding, and what is used if none is given.
	Base64 Encoding = "Base64"
	// Base64URL is URL-safe base64 without padding.
	Base64URL Encoding = "Base64URL"
	// Hex is lower-case hexadecimal.
	Hex Encoding = "Hex"
)

// Bytes makes random bytes as text.
type Bytes struct {
	// Length in bytes before they are encoded, 1 to 4096. 32 if 0.
	Length int
	// Encoding is Base64 if empty.
	Encoding Encoding
}

// Validate implements Generator.
func (b Bytes) Validate() error {
	if b.Length < 0 || b.Length > MaximumLength {
		return fmt.Errorf("%w: length is %d; give 1 to %d", ErrInvalid, b.Length, MaximumLength)
	}
	switch b.Encoding {
	case "", Base64, Base64URL, Hex:
		return nil
	}
	return fmt.Errorf("%w: encoding is %q; give Hex, Base64 or Base64URL", ErrInvalid, b.Encoding)
}

// Generate implements Generator.
func (b Bytes) Generate(r io.Reader) (secretbytes.Bytes, error) {
	if err := b.Validate(); err != nil {
		return secretbytes.Bytes{}, err
	}
	length := b.Length
	if length == 0 {
		length = 32
	}
	raw, err := secretbytes.Random(r, length)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	defer raw.Wipe()
	var out []byte
	secretbytes.Do(func() {
		switch b.Encoding {
		case Hex:
			out = hex.AppendEncode(nil, raw.Reveal())
		case Base64URL:
			out = base64.RawURLEncoding.AppendEncode(nil, raw.Reveal())
		default:
			out = base64.StdEncoding.AppendEncode(nil, raw.Reveal())
		}
	})
	return secretbytes.Own(out), nil
}

// UUID makes a UUID of version 4 (RFC 9562). It has no options.
type UUID struct{}

// Validate implements Generator.
func (UUID) Validate() error { return nil }

// Generate implements Generator.
func (UUID) Generate(r io.Reader) (secretbytes.Bytes, error) {
	random, err := secretbytes.Random(r, 16)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	defer random.Wipe()
	id := random.Reveal()
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return secretbytes.Own(fmt.Appendf(nil, "%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:])), nil
}
