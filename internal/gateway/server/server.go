// Package server is the gateway's door: it takes a request of an AWS SDK, finds out what it asks and who asks, has the operation
// carried out, keeps a record of it, and answers. [Server.ServeHTTP] is the order of these steps, and the only one.
package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"strongroom.dev/strongroom/internal/core/trail"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/admission"
	"strongroom.dev/strongroom/internal/gateway/audit"
	"strongroom.dev/strongroom/internal/gateway/limits"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/internal/store"
)

// Credentials finds whose an access key is.
type Credentials interface {
	// Credential fails with serviceiam.ErrUnknownAccessKey or ErrExpiredToken; any other error is a failure of the service's
	// own. With an error it gives a secret that is nobody's, to check the signature by all the same.
	Credential(ctx context.Context, accessKeyID, sessionToken string) (serviceiam.Credential, error)
}

// Options are what a Server stands on. All are required but SourceShare and Log.
type Options struct {
	// Services are those served.
	Services []gateway.Service
	// Regions are those served, the home region first.
	Regions []string
	// Credentials authenticate.
	Credentials Credentials
	// Trail keeps the records. A request whose record cannot be written fails.
	Trail *trail.Writer
	// Now is the clock.
	Now func() time.Time
	// SourceShare is how much of the memory for requests that are not authenticated yet one source may have, in percent.
	// admission.DefaultShare if 0.
	SourceShare int
	// Log says what went wrong inside, never what was asked.
	Log logr.Logger
}

// Server answers requests. It is an http.Handler.
type Server struct {
	Options
	services  map[string]*service // by signing name
	targets   map[string]*service // by the prefix of X-Amz-Target, which is the service's name in AWS's model, and in RPC v2's paths
	versions  map[string]*service // by the Version of a query
	keys      *signingKeys
	replays   *replays
	memory    *admission.Memory // of requests whose caller is not known yet
	budget    *admission.Budget // of those whose caller is
	untrailed atomic.Bool       // the last record could not be written
}

// service is a gateway.Service with what AWS's model says of it.
type service struct {
	*limits.Service
	operations map[string]*operation
	// global services are signed for any region, or for the one that AWS keeps them in.
	global bool
	// messageKey is the JSON member of error texts.
	messageKey string
	// maximumBody of a request, in bytes.
	maximumBody int64
}

// operation is one that is served, with all that can be known before a request.
type operation struct {
	*gateway.Operation
	limits        *limits.Operation
	input, output *audit.Plan
	wipeInput     *wiper
	wipeOutput    *wiper
	counts        *counts
	heaviest      int64 // bytes that one value of a request can make
}

// New makes a Server. It fails if a service has an operation that AWS's model lacks, or whose input is not the model's.
func New(o Options) (*Server, error) {
	s := &Server{
		Options: o, services: map[string]*service{}, targets: map[string]*service{}, versions: map[string]*service{},
		keys: newSigningKeys(), replays: newReplays(maximumReplays, replayShare),
		memory: admission.NewMemory(admission.MaximumMemory, cmp.Or(o.SourceShare, admission.DefaultShare), admission.Patience),
		budget: admission.NewBudget(admission.MaximumDecoded, admission.AccountShare),
	}
	for i := range o.Services {
		compiled, err := compile(&o.Services[i])
		if err != nil {
			return nil, fmt.Errorf("serving %s: %w", o.Services[i].Name, err)
		}
		s.services[compiled.SigningName] = compiled
		if compiled.TargetPrefix != "" {
			s.targets[compiled.TargetPrefix] = compiled
		} else {
			s.versions[compiled.APIVersion] = compiled
		}
	}
	return s, nil
}

const (
	maximumBody = 1 << 20
	// maximumKMSBody has room for a key policy of 32 KiB with every character escaped.
	maximumKMSBody = 256 << 10
)

func compile(g *gateway.Service) (*service, error) {
	model, err := limits.For(g.Name)
	if err != nil {
		return nil, err
	}
	s := &service{
		Service: model, operations: map[string]*operation{}, maximumBody: maximumBody, messageKey: "message",
		global: model.Protocol == "query",
	}
	if g.Name == "kms" {
		s.maximumBody = maximumKMSBody
	}
	for i := range g.Operations {
		op, err := compileOperation(model, &g.Operations[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.Operations[i].Name, err)
		}
		s.operations[op.Name] = op
		for _, e := range op.limits.Errors {
			if e.Message != "" {
				s.messageKey = e.Message
			}
		}
	}
	return s, nil
}

func compileOperation(model *limits.Service, op *gateway.Operation) (*operation, error) {
	known, ok := model.Operation(op.Name)
	if !ok {
		return nil, fmt.Errorf("%s has no such operation", model.ServiceID)
	}
	input, output := op.NewInput(), op.NewOutput()
	if err := known.Fits(input); err != nil {
		return nil, err
	}
	out := &operation{Operation: op, limits: known, counts: newCounts(model.SigningName, op.Name), heaviest: heaviest(input, model.Protocol)}
	var err error
	if out.input, err = audit.PlanOf(known.Input, reflect.TypeOf(input)); err != nil {
		return nil, err
	}
	if out.output, err = audit.PlanOf(known.Output, reflect.TypeOf(output)); err != nil {
		return nil, err
	}
	out.wipeInput = newWiper(known.Input, reflect.TypeOf(input))
	out.wipeOutput = newWiper(known.Output, reflect.TypeOf(output))
	return out, nil
}

// ServeHTTP answers one request. The record is written before the answer leaves.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := s.begin(r)
	defer e.wipe()
	answer, err := s.carryOut(e, w)
	if err != nil {
		answer = e.refuse(err)
	}
	if err := s.record(e); err != nil {
		s.Log.Error(err, "A request failed because its audit record could not be written", "requestID", e.requestID)
		answer = e.refuse(errInternal)
	}
	e.count(s.Now())
	e.release() // a client that does not take its answer keeps nothing else
	e.send(w, answer)
}

// carryOut is the steps until there is an answer. A panic is an internal failure of this request alone.
func (s *Server) carryOut(e *exchange, w http.ResponseWriter) (answer []byte, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			// What was recovered may hold what was asked: it is not logged.
			s.Log.Error(errInternal, "A request panicked", "operation", e.call.Service+":"+e.call.Operation,
				"requestID", e.requestID, "stack", stack())
			answer, err = nil, e.inside()
		}
	}()
	err = expected(e)
	if err == nil {
		err = s.read(e, w)
	}
	if err != nil {
		s.name(e) // for the record: a query's name is in the body that was not read
		return nil, err
	}
	if err := s.route(e); err != nil {
		return nil, err
	}
	if err := s.authenticate(e); err != nil {
		return nil, err
	}
	if e.operation == nil {
		return nil, e.unknownOperation()
	}
	if err := s.weigh(e); err != nil {
		return nil, err
	}
	if err := s.refuseReplay(e); err != nil {
		return nil, err
	}
	if err = e.decode(); err == nil {
		answer, err = s.invoke(e)
	}
	if err != nil {
		s.forgive(e, err)
	}
	return answer, err
}

// patience is how long an operation may take: less than the listener has for an answer.
const patience = 50 * time.Second

// invoke has the operation carried out.
func (s *Server) invoke(e *exchange) ([]byte, error) {
	if s.untrailed.Load() && !e.operation.ReadOnly {
		return nil, errUntrailed
	}
	limited := withDeadline(e.request.Context(), patience)
	defer limited.end()
	ctx, writes := store.NoteWrites(limited, e.operation.ReadOnly)
	out, err := e.operation.Invoke(ctx, &e.call, e.input)
	s.settle(ctx, writes) // a failure, too, may have written
	if err != nil {
		return nil, s.inner(e, err)
	}
	e.output = out
	return e.answered(e.protocol.answer(e.buffer(), e.operation.limits, out, e.requestID)), nil
}

// settling is how long an answer waits for the cache to show what its request has written. It is there within milliseconds, unless the watch is broken: then
// the answer is true all the same, and what is read next may be as it was before.
const settling = 3 * time.Second

// settle lets whoever has the answer read what the request has written, without a wait in any read. How long that took is counted: it is latency, and tells of a watch that is behind.
func (s *Server) settle(ctx context.Context, writes *store.Writes) {
	if writes.None() {
		return
	}
	brief, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	began := s.Now()
	err := writes.Await(brief)
	settled(s.Now().Sub(began), err)
}

// record writes what happened to the trail.
func (s *Server) record(e *exchange) error {
	buffer := buffers.Get().(*[]byte)
	event := e.event()
	line := event.Append((*buffer)[:0])
	err := s.Trail.Append(line) // which keeps nothing of it
	if cap(line) <= maximumPooled {
		*buffer = line
		buffers.Put(buffer)
	}
	s.untrailed.Store(err != nil)
	return err
}

// targetOf cuts the header X-Amz-Target: TrentService.Encrypt.
func targetOf(header string) (prefix, operation string) {
	dot := strings.LastIndexByte(header, '.')
	if dot < 0 {
		return header, ""
	}
	return header[:dot], header[dot+1:]
}
