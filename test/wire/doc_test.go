// Package wire proves the gateway's limits on the wire: requests made of AWS's own models go through the real server, signed by
// the SDK's signer, and every refusal is held against AWS's text, letter by letter.
package wire_test
