package server

import (
	"mime"
	"net/http"
	"strings"

	"strongroom.dev/strongroom/internal/gateway/awsquery"
)

// route finds out which service and operation a request asks. awsJson names both in X-Amz-Target, and RPC v2 in the path. Query
// services name the operation in the form, and the service by its API's version: nothing else of the form is read before it is known
// who sent it.
func (s *Server) route(e *exchange) error {
	switch e.protocol.(type) {
	case rpcProtocol:
		return s.routeRPC(e)
	case jsonProtocol:
		return s.routeTarget(e)
	}
	return s.routeQuery(e)
}

// named is the service that a request names by its head alone, nil for none.
func (s *Server) named(e *exchange) *service {
	if e.protocol == (rpcProtocol{}) {
		name, _, _ := rpcPath(e.request.URL.EscapedPath())
		return s.rpcService(name)
	}
	prefix, _ := targetOf(e.request.Header.Get("X-Amz-Target"))
	return s.targets[prefix]
}

// name notes the operation that a request names by its head alone, to be told and not to be served.
func (s *Server) name(e *exchange) {
	switch e.protocol.(type) {
	case rpcProtocol:
		_, e.asked, _ = rpcPath(e.request.URL.EscapedPath())
	case jsonProtocol:
		_, e.asked = targetOf(e.request.Header.Get("X-Amz-Target"))
	}
	if e.service = s.named(e); e.service != nil {
		e.call.Service, e.call.Operation = e.service.SigningName, e.asked
	}
}

func (s *Server) routeTarget(e *exchange) error {
	target := e.request.Header.Get("X-Amz-Target")
	prefix, name := targetOf(target)
	e.asked = name
	e.service = s.targets[prefix]
	if e.service == nil {
		return refusal(unknownOperation, "No service here has the target %s.", shortened(target))
	}
	if e.request.Method != http.MethodPost {
		return refusal(unknownOperation, "%s is called by POST, not by %s.", shortened(target), shortened(e.request.Method))
	}
	if e.request.URL.Path != "/" && e.request.URL.Path != "" {
		return refusal(unknownOperation, "%s is called at the path /.", shortened(target))
	}
	if !isType(e.request.Header.Get("Content-Type"), jsonType) {
		return refusal(unknownOperation, "The content type is to be %s.", jsonType)
	}
	e.serve(name)
	return nil
}

// isType says whether a Content-Type is of a media type, with parameters or, as SDKs send it, without.
func isType(header, want string) bool {
	if header == want {
		return true
	}
	kind, _, err := mime.ParseMediaType(header)
	return err == nil && kind == want
}

func (s *Server) routeQuery(e *exchange) error {
	form, err := formOf(e)
	if err != nil {
		return err
	}
	action, version, err := awsquery.Names(form)
	if err != nil {
		return err
	}
	e.asked, e.form = action, form
	e.service = s.versions[version]
	switch {
	case action == "" && version == "":
		return refusal(unknownOperation, "The request names no operation: X-Amz-Target is missing, and Action and Version are.")
	case e.service == nil:
		return refusal(unknownOperation, "Could not find operation %s for version %s.", shortened(action), shortened(version))
	}
	e.serve(action)
	return nil
}

// serve notes the operation that was asked, nil if it is not served.
func (e *exchange) serve(name string) {
	e.call.Service, e.call.Operation = e.service.SigningName, name
	e.operation = e.service.operations[name]
}

// unknownOperation tells what AWS has and is not served here from what nobody has.
func (e *exchange) unknownOperation() error {
	if _, ok := e.service.Operation(e.asked); ok {
		return refusal(unsupportedOperation, "Strongroom does not serve %s of %s. The list of what it serves is in docs/aws-compatibility.md.",
			e.asked, e.service.ServiceID)
	}
	return refusal(unknownOperation, "%s has no operation %s.", e.service.ServiceID, shortened(e.asked))
}

// shortened is a name out of a request, fit to be shown.
func shortened(name string) string {
	const most = 128
	if len(name) > most {
		name = name[:most] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, name)
}
