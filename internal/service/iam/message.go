package iam

import (
	"encoding/base64"
	"errors"
	"strings"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// MaximumAuthorizationMessage is the longest encoded message, in bytes: AWS's limit.
const MaximumAuthorizationMessage = 10240

// ErrAuthorizationMessage says that a message is not one of EncodeAuthorizationMessage's for the account.
var ErrAuthorizationMessage = errors.New("the message is not an authorization message")

func messageBinding(account string) keys.Context {
	return keys.Context{"purpose": "authorization-message", "account": account}
}

// EncodeAuthorizationMessage seals the details of a refusal for those of the caller's account who may read them.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html
func (s *Service) EncodeAuthorizationMessage(account, message string) (string, error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return "", err
	}
	sealed, err := ring.Seal(keys.KindAuthorizationMessage, messageBinding(account), secretbytes.Copy([]byte(message)))
	if err != nil {
		return "", err
	}
	encoded := base64.RawURLEncoding.EncodeToString(sealed)
	if len(encoded) > MaximumAuthorizationMessage {
		return "", ErrAuthorizationMessage
	}
	return encoded, nil
}

// DecodeAuthorizationMessage opens what EncodeAuthorizationMessage made for an account. It fails with ErrAuthorizationMessage.
func (s *Service) DecodeAuthorizationMessage(account, encoded string) (string, error) {
	if len(encoded) > MaximumAuthorizationMessage || strings.ContainsAny(encoded, "\r\n") {
		return "", ErrAuthorizationMessage
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return "", ErrAuthorizationMessage
	}
	message, err := s.Keyring.Open(keys.KindAuthorizationMessage, messageBinding(account), sealed)
	if errors.Is(err, keyring.ErrSealed) {
		return "", err
	}
	if err != nil {
		return "", ErrAuthorizationMessage
	}
	return string(message.Reveal()), nil
}
