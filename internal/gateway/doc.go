// Package gateway speaks AWS's wire protocols. An operation finds the resource that a request is about, asks for permission,
// and is carried out, in this order and in one place ([Op]).
package gateway
