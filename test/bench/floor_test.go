package bench

import (
	"bytes"
	"errors"

	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/trail"
)

// opened is how many Envelopes of Strings an operation opens, for those that are measured beside the floor.
var opened = map[string]int{"GetParameter String": 1, "GetParametersByPath String": realObjects}

const (
	floorAction   = "ssm:GetParameter"
	floorResource = "arn:aws:ssm:us-east-1:123456789012:parameter/string-1"
	// floorRecord is about as long as the gateway's record of such a request, in bytes.
	floorRecord = 900
)

// floor is what a gateway cannot leave out beside the bare server, and nothing around it: it asks the caller's ten policies once, opens what is answered, and has its record written before the answer. It finds no
// object, checks no limit, and counts nothing. So no gateway that is made of these parts costs less than a bare server with it.
type floor struct {
	key      secretbytes.Bytes
	header   keys.Header
	context  keys.Ordered
	blob     []byte
	policies iam.Policies
	trail    *trail.Writer
	record   []byte
}

func newFloor(log string) (f *floor, err error) {
	f = &floor{header: keys.Header{Kind: keys.KindParameterVersion}, record: bytes.Repeat([]byte("x"), floorRecord)}
	for _, name := range []string{"class", "created", "expires", "key", "namespace", "owner", "sequence", "stages", "subject", "version"} {
		f.context = append(f.context, keys.Entry{Name: name, Value: "about as long as it is"})
	}
	if f.key, err = secretbytes.Random(nil, keys.KeySize); err != nil {
		return nil, err
	}
	if f.blob, err = keys.Seal(f.key, f.header, f.context, secretbytes.Own(bytes.Repeat([]byte("strong64"), 8))); err != nil {
		return nil, err
	}
	for i := range realObjects {
		policy, err := iam.Parse(document(i), iam.Identity)
		if err != nil {
			return nil, err
		}
		f.policies.Identity = append(f.policies.Identity, policy)
	}
	f.trail, err = trail.OpenFile(log)
	return f, err
}

var errDenied = errors.New("the policies do not allow it")

// work is a request's.
func (f *floor) work(values int) error {
	request := iam.Request{
		Principal: iam.Principal{ARN: "arn:aws:iam::123456789012:user/bench", Account: "123456789012"}, Action: floorAction, Resource: floorResource, Context: iam.Map{},
	}
	if !iam.Evaluate(&request, &f.policies).Allowed() {
		return errDenied
	}
	for range values {
		if _, err := keys.OpenPublic(f.key, f.header, f.context, keys.Part{}, f.blob); err != nil {
			return err
		}
	}
	return f.trail.Append(f.record)
}
