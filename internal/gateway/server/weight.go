package server

import (
	"reflect"

	"strongroom.dev/strongroom/internal/gateway/admission"
	"strongroom.dev/strongroom/internal/gateway/awsquery"
	"strongroom.dev/strongroom/internal/gateway/shapes"
)

// copies are how often a request's bytes are in memory while it is carried out: the body, what is decoded, what a handler makes of
// that, and half of a buffer that grows.
const copies = 4

// maximumUnsignedValues are those of a request that nobody answers for: AssumeRoleWithWebIdentity has 6 members and ten policies.
const maximumUnsignedValues = 256

// weight is how many bytes a request takes while it is carried out, before anything is made of it: a bound, by its length and the
// number of its values.
func (o *operation) weight(length, values int) int64 {
	return admission.Overhead + copies*int64(length) + int64(values)*o.heaviest
}

// heaviest is what one value of an operation's requests can make.
func heaviest(input any, protocol string) int64 {
	size := shapes.Heaviest(reflect.TypeOf(input))
	if protocol == "query" {
		size += awsquery.NodeSize
	}
	return int64(size)
}

// weigh measures a request whose caller is known, and takes what it needs of the budget: until then its bytes were counted as those of
// a source, and now as those of an account. A request that nobody signed stays its source's, and is to be small.
func (s *Server) weigh(e *exchange) error {
	values, err := e.protocol.measure(e)
	switch {
	case err != nil:
		return err
	case e.signed == nil && values > maximumUnsignedValues:
		return shapes.ErrManyValues
	case e.signed == nil:
		return nil
	}
	spent, ok := s.budget.Spend(e.call.Identity.Principal.Account, e.operation.weight(len(e.body), values))
	if !ok {
		return errRate
	}
	e.spent = spent
	e.held.Release()
	return nil
}
