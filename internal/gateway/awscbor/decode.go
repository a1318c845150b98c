// Package awscbor is the codec of Smithy's RPC v2 protocol in CBOR, as a server speaks it: requests into the SDK's own input
// structs, the SDK's own output and error structs into answers.
// https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
//
// Requests are parsed strictly: names in their own case, no key of a map twice, keys that are text, no invalid UTF-8, nothing behind
// the document, bounded depth and numbers of entries, tags where a timestamp is and nowhere else. Lengths may be indefinite, as
// Smithy has it: the SDK's own encoder makes nothing else. Members that the struct lacks are ignored, as AWS ignores them, so that
// newer clients work, and are held to all of this too.
package awscbor

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"strongroom.dev/strongroom/internal/gateway/shapes"
)

// MaximumEntries is how many entries a list or a map of a request may have. The longest list that a model allows has 1,000.
const MaximumEntries = 8192

// ErrSerialization is AWS's SerializationException: the body is not CBOR, or not of the operation's shape.
var ErrSerialization = shapes.ErrSerialization

// grammar is what CBOR is accepted. It is looked at whole before anything is made of it.
var grammar = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		MaxNestedLevels: shapes.MaximumDepth, MaxArrayElements: MaximumEntries, MaxMapPairs: MaximumEntries, IndefLength: cbor.IndefLengthAllowed,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// Decode reads the body of a request into an input struct. An empty body is an empty structure. Errors wrap ErrSerialization.
func Decode(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	if err := grammar.Wellformed(body); err != nil {
		return fmt.Errorf("%w: %s", ErrSerialization, problem(err))
	}
	if major(body[0]>>5) != mapping { // null would leave the input as it is
		return fmt.Errorf("%w: the body is not a CBOR map", ErrSerialization)
	}
	return newReader(body).read(into)
}

// problem is what is wrong, without what the library may quote.
func problem(err error) string {
	var deep *cbor.MaxNestedLevelError
	var long *cbor.MaxArrayElementsError
	var large *cbor.MaxMapPairsError
	var behind *cbor.ExtraneousDataError
	switch {
	case errors.As(err, &deep):
		return fmt.Sprintf("arrays and maps are nested more than %d deep", shapes.MaximumDepth)
	case errors.As(err, &long), errors.As(err, &large):
		return fmt.Sprintf("an array or a map has more than %d entries", MaximumEntries)
	case errors.As(err, &behind):
		return "not valid CBOR: something is behind the document"
	}
	return "not valid CBOR"
}
