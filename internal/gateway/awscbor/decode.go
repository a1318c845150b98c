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

// ErrSerialization is AWS's SerializationException: the body is not CBOR, or not of the operation's shape.
var ErrSerialization = shapes.ErrSerialization

// grammar is what CBOR is accepted. It is looked at whole before anything is made of it.
var grammar = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		MaxNestedLevels: shapes.MaximumDepth, MaxArrayElements: shapes.MaximumEntries, MaxMapPairs: shapes.MaximumEntries, IndefLength: cbor.IndefLengthAllowed,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// Decode reads the body of a request into an input struct. An empty body is an empty structure. Errors wrap ErrSerialization.
func Decode(body []byte, into any) error {
	if _, err := Measure(body); err != nil {
		return err
	}
	return DecodeMeasured(body, into)
}

// DecodeMeasured is Decode of a body that Measure has passed: it is well formed.
func DecodeMeasured(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	if major(body[0]>>5) != mapping { // null would leave the input as it is
		return fmt.Errorf("%w: the body is not a CBOR map", ErrSerialization)
	}
	return newReader(body).read(into)
}

// Measure checks that a body is well formed, and is how many data items it has: keys of maps are items too, chunks of strings are
// none. It fails if they are more than shapes.MaximumValues with a key each, nested deeper than shapes.MaximumDepth, or if an array or
// a map has more than shapes.MaximumEntries. It makes nothing of them.
func Measure(body []byte) (items int, err error) {
	if len(body) == 0 {
		return 0, nil
	}
	if err := grammar.Wellformed(body); err != nil {
		return 0, problem(err)
	}
	for r := newReader(body); r.at < len(r.data); {
		if r.ends() {
			continue
		}
		if items++; items > 2*shapes.MaximumValues {
			return 0, shapes.ErrManyValues
		}
		if i := r.head(); i.major == blob || i.major == text {
			r.chunks(i, func([]byte) bool { return true })
		}
	}
	return items, nil
}

// problem is what is wrong, without what the library may quote.
func problem(err error) error {
	var deep *cbor.MaxNestedLevelError
	var long *cbor.MaxArrayElementsError
	var large *cbor.MaxMapPairsError
	var behind *cbor.ExtraneousDataError
	switch {
	case errors.As(err, &deep):
		return shapes.ErrTooDeep
	case errors.As(err, &long), errors.As(err, &large):
		return shapes.ErrManyEntries
	case errors.As(err, &behind):
		return fmt.Errorf("%w: not valid CBOR: something is behind the document", ErrSerialization)
	}
	return fmt.Errorf("%w: not valid CBOR", ErrSerialization)
}
