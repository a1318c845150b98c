// Package limits checks requests against what AWS's own models say of every member: required, length, range, pattern
// and enum. It also says how an operation is on the wire, which errors it has, and which members no log may show.
//
// The facts are in one table a service (folder tables, made by hack/awslimits), read when the service is first asked
// for. What is in no model (64 KiB a secret, 4 KiB a parameter) is the handlers' to check.
package limits

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

//go:embed tables/*.json
var tables embed.FS

// ErrUnknownService is what For gives for a service without a table.
var ErrUnknownService = errors.New("no table of limits for the service")

// Service is what is known of one of AWS's services. It is shared: nothing in it may be changed.
type Service struct {
	table.Header
	operations map[string]*Operation
	shapes     map[string]*Shape
	errors     map[string]*Error
}

// Operation is one action of a service.
type Operation struct {
	Service       *Service
	Name          string
	Input, Output *Shape   // structures, never nil; without members if the operation takes or gives nothing
	ResultWrapper string   // the XML element around the answer; with protocol query alone
	Unsigned      bool     // whether callers sign nothing: AssumeRoleWithWebIdentity, AssumeRoleWithSAML
	Idempotent    bool     // as the model says; most that are so aren't said to be
	ReadOnly      bool     // as the model says; most that are so aren't said to be
	Errors        []*Error // that the model lists, in its order; each service has common ones besides

	checked atomic.Pointer[plan] // of the input type that was last checked: in practice the only one
}

// Error is an error of a service as it is on the wire.
type Error struct {
	Shape   string // the exception's name in the SDKs: NoSuchEntityException
	Code    string // __type, or <Code> in XML: NoSuchEntity
	Status  int    // of HTTP, what the service sends and not what some models claim
	Fault   bool   // the service's own, which SDKs try again; <Type> is then Receiver and not Sender
	Message string // the name of the JSON member with the text: message or Message; empty if it has none
}

// Shape is a type of a service. Min and Max are the length of strings (UTF-16 units), blobs (bytes), lists and maps
// (entries), and the value of numbers; nil is no limit.
type Shape struct {
	Name            string
	Type            string // one of package table's
	Min, Max        *int64
	Pattern         string   // as AWS writes it, in Java's language; a value has to match it from end to end
	Enum            []string // what the value may be; nil for anything
	TimestampFormat string   // iso8601, unixTimestamp or rfc822, where it isn't the protocol's own
	Union           bool     // exactly one of Members is set
	Members         []*Member
	Element         *Member // of a list
	Key, Value      *Member // of a map

	expressions []*expression
}

// Member is a member of a structure, or what a list or a map holds (then Name is empty).
type Member struct {
	Name             string // as the model has it; with an upper-case first letter it is the field of the SDK's struct
	Wire             string // its name on the wire; for what a list or a map holds member, key or value
	Shape            *Shape
	Required         bool
	Sensitive        bool // no log and no error shows the value: as the model flags it, or alsoSensitive
	Flattened        bool // a list without an element around its entries
	IdempotencyToken bool // SDKs fill it in
	Deprecated       bool
	TimestampFormat  string // overrides the shape's
}

// loading has one entry a service; each reads its table once.
var loading = sync.OnceValue(func() map[string]func() (*Service, error) {
	all := map[string]func() (*Service, error){}
	entries, _ := tables.ReadDir("tables") // embedded: it is there
	for _, entry := range entries {
		name := strings.TrimSuffix(entry.Name(), ".json")
		all[name] = sync.OnceValues(func() (*Service, error) { return load(name) })
	}
	return all
})

// Services are the names that For knows, sorted.
func Services() []string { return slices.Sorted(maps.Keys(loading())) }

// For gives a service by the name of its Go package: kms, secretsmanager, sts, iam, ssm, acm, acm-pca (with a hyphen,
// though the Go package has none), cloudhsmv2, cloudtrail. The error is ErrUnknownService, or says what is wrong with
// the table that the program was built with.
func For(service string) (*Service, error) {
	once, ok := loading()[service]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownService, service)
	}
	return once()
}

// Operation finds one of the service's operations by its exact name.
func (s *Service) Operation(name string) (*Operation, bool) {
	o, ok := s.operations[name]
	return o, ok
}

// Operations are the names of the service's operations, sorted.
func (s *Service) Operations() []string { return slices.Sorted(maps.Keys(s.operations)) }

// Error finds an error by its shape's name, which is the SDK's.
func (s *Service) Error(shape string) (*Error, bool) {
	e, ok := s.errors[shape]
	return e, ok
}

// Shape finds a type by its name in the model.
func (s *Service) Shape(name string) (*Shape, bool) {
	shape, ok := s.shapes[name]
	return shape, ok
}

// Shapes are the names of the service's types, sorted.
func (s *Service) Shapes() []string { return slices.Sorted(maps.Keys(s.shapes)) }
