package server

import (
	"net/http"
	"strings"

	"strongroom.dev/strongroom/internal/gateway/awscbor"
	"strongroom.dev/strongroom/internal/gateway/limits"
)

// rpcProtocol is Smithy's RPC v2 in CBOR, which every JSON service speaks too. What a failure is called, and its status, are those
// of JSON: an SDK's user sees no difference.
// https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
type rpcProtocol struct{ jsonProtocol }

const (
	rpcName  = "rpc-v2-cbor" // in the header Smithy-Protocol
	cborType = "application/cbor"
)

var cborAnswers = []string{cborType}

func (rpcProtocol) answerTypes() []string { return cborAnswers }

func (rpcProtocol) decode(e *exchange, into any) error {
	return awscbor.DecodeMeasured(e.body, into)
}

func (rpcProtocol) measure(e *exchange) (int, error) { return awscbor.Measure(e.body) }

// answer is empty for an operation without output: there must be no body then.
func (rpcProtocol) answer(dst []byte, op *limits.Operation, output any, _ string) []byte {
	if op.Output.Name == "" {
		return dst
	}
	return awscbor.Append(dst, output)
}

func (rpcProtocol) failure(dst []byte, f *failure, s *service, _ string) []byte {
	return awscbor.AppendError(dst, shapeID(f, s), f.messageKey, f.message, f.shape)
}

// AWS's shape ids begin so: those of a service, and those of what all have in common, which are in no model.
const (
	serviceNamespace = "com.amazonaws."
	commonNamespace  = "com.amazon.coral.service"
)

// namespace is that of a service's shapes: com.amazonaws.acmpca.
func (s *service) namespace() string {
	return serviceNamespace + strings.ReplaceAll(s.Header.Service, "-", "")
}

// shapeID is the absolute id of a failure's shape, which RPC v2 asks for.
func shapeID(f *failure, s *service) string {
	if s != nil && f.modelled {
		return s.namespace() + "#" + f.code
	}
	return commonNamespace + "#" + f.code
}

// rpcPath cuts a path: what is before the last four segments may be anything. The path is as it was sent: an encoded slash is none.
func rpcPath(path string) (service, operation string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 5 {
		return "", "", false
	}
	parts = parts[len(parts)-4:]
	if parts[0] != "service" || parts[2] != "operation" {
		return "", "", false
	}
	return parts[1], parts[3], true
}

// routeRPC finds the operation in the path. A request with a target besides is refused, since who looks at one of the two would take
// it for another request than who looks at the other.
func (s *Server) routeRPC(e *exchange) error {
	name, operation, ok := rpcPath(e.request.URL.EscapedPath())
	e.asked = operation
	e.service = s.rpcService(name)
	switch {
	case len(e.request.Header["Smithy-Protocol"]) > 1:
		return refusal(unknownOperation, "The header Smithy-Protocol is there more than once.")
	case len(e.request.Header["X-Amz-Target"]) > 0 || len(e.request.Header["X-Amzn-Target"]) > 0:
		return refusal(unknownOperation, "A request in %s has no X-Amz-Target.", rpcName)
	case !ok:
		return refusal(unknownOperation, "A request in %s is for a path such as /service/TrentService/operation/Encrypt.", rpcName)
	case e.service == nil:
		return refusal(unknownOperation, "No service here is called %s.", shortened(name))
	case e.request.Method != http.MethodPost:
		return refusal(unknownOperation, "%s is called by POST, not by %s.", shortened(operation), shortened(e.request.Method))
	case !isCBOR(e):
		return refusal(unknownOperation, "The content type is to be %s.", cborType)
	}
	e.serve(operation)
	return nil
}

// isCBOR says whether the body is sent as what it is to be. Without one there need be no type.
func isCBOR(e *exchange) bool {
	kind := e.request.Header.Get("Content-Type")
	return isType(kind, cborType) || kind == "" && len(e.body) == 0
}

// rpcService finds a service by its name in a path, which may be the absolute id of its shape with a dot in place of the #. Nil if
// there is none.
func (s *Server) rpcService(name string) *service {
	namespace := ""
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		namespace, name = name[:dot], name[dot+1:]
	}
	found := s.targets[name]
	if found == nil || namespace != "" && namespace != found.namespace() {
		return nil
	}
	return found
}
