package wire_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsacm "github.com/aws/aws-sdk-go-v2/service/acm"
	acmschemas "github.com/aws/aws-sdk-go-v2/service/acm/schemas"
	awsacmpca "github.com/aws/aws-sdk-go-v2/service/acmpca"
	acmpcaschemas "github.com/aws/aws-sdk-go-v2/service/acmpca/schemas"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmsschemas "github.com/aws/aws-sdk-go-v2/service/kms/schemas"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smschemas "github.com/aws/aws-sdk-go-v2/service/secretsmanager/schemas"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmschemas "github.com/aws/aws-sdk-go-v2/service/ssm/schemas"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"

	"strongroom.dev/strongroom/internal/gateway"
	ours "strongroom.dev/strongroom/internal/gateway/awscbor"
	oursjson "strongroom.dev/strongroom/internal/gateway/awsjson"
	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// sdks are the SDK's clients of all services that speak JSON, and so RPC v2.
var sdks = map[string]struct {
	schema *smithy.ServiceSchema
	client func(aws.Config, smithyhttp.ClientProtocol) any
}{
	"kms": {kmsschemas.TrentService, func(c aws.Config, p smithyhttp.ClientProtocol) any {
		return awskms.NewFromConfig(c, func(o *awskms.Options) { o.Protocol = p })
	}},
	"secretsmanager": {smschemas.Secretsmanager, func(c aws.Config, p smithyhttp.ClientProtocol) any {
		return awssm.NewFromConfig(c, func(o *awssm.Options) { o.Protocol = p })
	}},
	"ssm": {ssmschemas.AmazonSSM, func(c aws.Config, p smithyhttp.ClientProtocol) any {
		return awsssm.NewFromConfig(c, func(o *awsssm.Options) { o.Protocol = p })
	}},
	"acm": {acmschemas.CertificateManager, func(c aws.Config, p smithyhttp.ClientProtocol) any {
		return awsacm.NewFromConfig(c, func(o *awsacm.Options) { o.Protocol = p })
	}},
	"acm-pca": {acmpcaschemas.ACMPrivateCA, func(c aws.Config, p smithyhttp.ClientProtocol) any {
		return awsacmpca.NewFromConfig(c, func(o *awsacmpca.Options) { o.Protocol = p })
	}},
}

func (d *door) config(client aws.HTTPClient) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String("https://gateway.test"), HTTPClient: client, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	}
}

func spoken(name string, schema *smithy.ServiceSchema) smithyhttp.ClientProtocol {
	if name == rpc {
		return rpcv2.NewCBOR(schema)
	}
	return awsjson.New11(schema)
}

// mirror is a server of one operation: it keeps what it is asked, as our codec reads it, and answers one output, as our codec writes
// it.
type mirror struct {
	op       *limits.Operation
	protocol string
	input    any
	output   any
	err      error
}

// Do implements aws.HTTPClient.
func (m *mirror) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, m.err = io.ReadAll(r.Body)
	}
	header, answer := http.Header{}, []byte(nil)
	if m.protocol == rpc {
		header.Set("Smithy-Protocol", "rpc-v2-cbor")
		m.err = ours.Decode(body, m.input)
		if m.op.Output.Name != "" {
			answer = ours.Append(nil, m.output)
		}
	} else {
		m.err = oursjson.Decode(body, m.input)
		answer = oursjson.Append(nil, m.output)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader(answer)), Request: r}, nil
}

// full puts something into every member, at all depths; a union is left out.
func full(v reflect.Value, s *limits.Shape, within map[*limits.Shape]bool) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch s.Type {
	case table.Structure:
		if s.Union || within[s] {
			return
		}
		within[s] = true
		defer delete(within, s)
		for _, m := range s.Members {
			full(v.FieldByName(strings.ToUpper(m.Name[:1])+m.Name[1:]), m.Shape, within)
		}
	case table.List:
		if within[s.Element.Shape] || s.Element.Shape.Union {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			full(v.Index(i), s.Element.Shape, within)
		}
	case table.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		full(key, s.Key.Shape, within)
		full(value, s.Value.Shape, within)
		v.SetMapIndex(key, value)
	case table.Timestamp:
		v.Set(reflect.ValueOf(time.UnixMilli(1_764_000_000_500).UTC()))
	case table.Blob:
		v.SetBytes([]byte("blob of " + s.Name + "\x00\xff"))
	case table.Boolean:
		v.SetBool(true)
	case table.Integer, table.Long:
		v.SetInt(70_000)
	case table.Float, table.Double:
		v.SetFloat(1.5)
	default:
		v.SetString("text of " + s.Name + " é")
	}
}

// TestTheSDKAndWeReadEachOtherInEveryMemberOfEveryOperation: what the SDK's client is given comes out of our codec whole, and what our
// codec is given comes out of the SDK's client; in both protocols, whatever the SDK's own default is.
func TestTheSDKAndWeReadEachOtherInEveryMemberOfEveryOperation(t *testing.T) {
	d := newDoor(t)
	seen := 0
	for _, service := range services() {
		sdk, ok := sdks[service.Name]
		if !ok {
			continue
		}
		model, err := limits.For(service.Name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range service.Operations {
			served := &service.Operations[i]
			op, _ := model.Operation(served.Name)
			for _, protocol := range protocols(model) {
				m := &mirror{op: op, protocol: protocol, input: served.NewInput(), output: served.NewOutput()}
				given := served.NewInput()
				full(reflect.ValueOf(given).Elem(), op.Input, map[*limits.Shape]bool{})
				full(reflect.ValueOf(m.output).Elem(), op.Output, map[*limits.Shape]bool{})
				got, err := call(t, sdk.client(d.config(m), spoken(protocol, sdk.schema)), served, given)
				name := fmt.Sprintf("%s:%s in %s", service.Name, served.Name, protocol)
				switch {
				case err != nil || m.err != nil:
					t.Errorf("%s: %v, %v", name, err, m.err)
				case written(m.input) != written(given):
					t.Errorf("%s: the SDK was given\n%s\nand we read\n%s", name, written(given), written(m.input))
				case written(got) != written(m.output):
					t.Errorf("%s: we wrote\n%s\nand the SDK read\n%s", name, written(m.output), written(got))
				}
				seen++
			}
		}
	}
	if seen < 150 {
		t.Errorf("%d operations were tried", seen)
	}
}

// written is a struct's content, to compare: neither the SDK's metadata nor a time's zone is in it.
func written(v any) string { return string(oursjson.Append(nil, v)) }

// call calls an operation by its name.
func call(t *testing.T, client any, op *gateway.Operation, input any) (any, error) {
	t.Helper()
	method := reflect.ValueOf(client).MethodByName(op.Name)
	out := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(input)})
	err, _ := out[1].Interface().(error)
	return out[0].Interface(), err
}

// TestAPathNamesAServiceAsTheSDKDoes: the gateway's names are those of the SDK's schemas, the absolute ids too.
func TestAPathNamesAServiceAsTheSDKDoes(t *testing.T) {
	for name, sdk := range sdks {
		model, err := limits.For(name)
		if err != nil {
			t.Fatal(err)
		}
		id := sdk.schema.ID()
		if id.Name != model.TargetPrefix {
			t.Errorf("%s is called %s by the SDK, and %s by us", name, id.Name, model.TargetPrefix)
		}
		if want := "com.amazonaws." + strings.ReplaceAll(model.Service, "-", ""); id.Namespace != want {
			t.Errorf("%s is in namespace %s by the SDK, and in %s by us", name, id.Namespace, want)
		}
	}
}
