package wire_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// The fewest cases that there must be, so that the test cannot shrink unseen. Raise them as more is served.
const (
	leastRefused  = 2300
	leastAccepted = 3600
)

// maximumBody is the smallest of the services' limits: what is larger is refused before it is read.
const maximumBody = 250 << 10

// attempt is a value for a place, and why it is tried.
type attempt struct {
	why   string
	value any
}

func TestEveryMemberOfEveryServedOperationIsHeldToItsLimitsInAWSsWords(t *testing.T) {
	d := newDoor(t)
	refused, accepted, tooLarge := 0, 0, 0
	for _, service := range services() {
		model, err := limits.For(service.Name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range service.Operations {
			served := &service.Operations[i]
			op, _ := model.Operation(served.Name)
			for _, p := range places(op) {
				if untold[op.Name+" "+strings.SplitN(p.path, ".", 2)[0]] {
					continue
				}
				for _, a := range attempts(&p, model.Protocol == "query") {
					want := wanted(&p, model.Protocol == "query", a.value)
					for _, protocol := range protocols(model) {
						if len(encode(t, op, protocol, p.request(a.value))) > maximumBody {
							tooLarge++
							continue
						}
						got := d.send(t, op, protocol, served.Unsigned, p.request(a.value))
						name := fmt.Sprintf("%s:%s %s %s in %s", service.Name, op.Name, p.path, a.why, protocol)
						if want == "" {
							accepted++
							admitted(t, name, &p, got)
						} else {
							refused++
							answered(t, name, codeOf(model), want, got)
						}
					}
				}
			}
		}
	}
	t.Logf("%d refused, %d accepted, %d too large to be sent", refused, accepted, tooLarge)
	if refused < leastRefused || accepted < leastAccepted {
		t.Errorf("%d cases were refused and %d accepted; there were at least %d and %d", refused, accepted, leastRefused, leastAccepted)
	}
}

// untold are members that this test cannot send: the entries of one are structures of nothing but lists, which a query leaves out when
// they are empty; those of the other are a union, which is refused as a whole.
var untold = map[string]bool{
	"SimulateCustomPolicy orderedOrganizationPolicyInputList": true, "SimulatePrincipalPolicy policyExclusionList": true,
}

// codeOf is the error's name: that of IAM's and STS's has no Exception.
func codeOf(s *limits.Service) string {
	if s.Protocol == "query" {
		return "ValidationError"
	}
	return "ValidationException"
}

func answered(t *testing.T, name, code, want string, got answer) {
	t.Helper()
	if got.status != http.StatusBadRequest || got.code != code || got.message != want {
		t.Errorf("%s:\n got %d %s: %.700s\nwant 400 %s: %.700s", name, got.status, got.code, got.message, code, want)
	}
}

// admitted fails if the answer is the limits' word about the place.
func admitted(t *testing.T, name string, p *place, got answer) {
	t.Helper()
	if strings.Contains(got.message, "validation error") || got.code == "SerializationException" || got.code == "InvalidSignatureException" {
		t.Errorf("%s is within its limits, and was answered %d %s: %.500s", name, got.status, got.code, got.message)
	}
}

// attempts are the values that are tried in a place.
func attempts(p *place, query bool) (out []attempt) {
	if !p.entry {
		out = append(out, attempt{"missing", absent{}})
	}
	s := p.shape
	if s.Enum != nil {
		out = append(out, attempt{"of no such value", "NO_SUCH_VALUE"})
		for _, v := range s.Enum {
			out = append(out, attempt{"of value " + v, v})
		}
		return out
	}
	if s.Pattern != "" {
		if v, ok := unmatched(s); ok {
			out = append(out, attempt{"of another pattern", v})
		}
	}
	add := func(why string, n int64) {
		collection := s.Type == table.List || s.Type == table.Map
		if n < 0 && s.Type != table.Integer && s.Type != table.Long || n == 0 && query && collection {
			return // is nothing, or cannot be told from nothing
		}
		out = append(out, attempt{why, sized(s, n)})
	}
	if s.Min != nil {
		add("below the minimum", *s.Min-1)
		add("of the minimum", *s.Min)
	}
	if s.Max != nil {
		add("of the maximum", *s.Max)
		add("over the maximum", *s.Max+1)
	}
	if s.Type != table.Structure {
		out = append(out, attempt{"of a value that fits", valid(s)})
	}
	return out
}
