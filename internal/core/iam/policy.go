package iam

import (
	"errors"
	"fmt"
)

// Type is where a policy is attached, which decides what its statements must and must not have.
type Type uint8

// The types of policies.
const (
	// Identity policies, boundaries and session policies have no principal.
	Identity Type = iota
	// Resource policies have a principal and a resource.
	Resource
	// Trust policies say who may assume a role: they have a principal and no resource.
	Trust
	// Key policies of KMS have a principal. A statement without an action or a resource is accepted and does nothing.
	Key
)

// The limits of documents.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const (
	// MaximumDocument is the longest document that is parsed, in bytes: that of a KMS key policy. Services set lower ones.
	MaximumDocument = 32 * 1024
	// maximumDepth of JSON: a document needs 5.
	maximumDepth = 8
)

// ErrMalformed says that a document is not a policy. A [SyntaxError] wraps it and tells where.
var ErrMalformed = errors.New("malformed policy document")

// SyntaxError tells what is wrong with a document and where.
type SyntaxError struct {
	// Pointer is the JSON pointer (RFC 6901) of what is wrong, such as /Statement/0/Condition/StringEqualz.
	Pointer string
	// Offset in bytes from the document's beginning, -1 if it is an element that is missing.
	Offset int64
	// Problem is what is wrong.
	Problem string
}

// Error is what is wrong and where.
func (e *SyntaxError) Error() string {
	at := e.Pointer
	if at == "" {
		at = "/"
	}
	if e.Offset >= 0 {
		return fmt.Sprintf("at %s (byte %d): %s", at, e.Offset, e.Problem)
	}
	return fmt.Sprintf("at %s: %s", at, e.Problem)
}

// Unwrap is ErrMalformed.
func (e *SyntaxError) Unwrap() error { return ErrMalformed }

type effect uint8

const (
	deny effect = iota
	allow
)

// Policy is a compiled document. It is immutable and may be used by many at once.
type Policy struct {
	statements []statement
}

type statement struct {
	sid                     string
	effect                  effect
	principal, notPrincipal *principals
	actions                 []pattern
	notAction               bool
	resources               []arnPattern
	notResource             bool
	// anyResource: there is no Resource element, as in a trust policy.
	anyResource bool
	conditions  []condition
}

// Statements is the number of statements.
func (p *Policy) Statements() int { return len(p.statements) }
