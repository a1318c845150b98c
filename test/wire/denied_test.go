package wire_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	awsacm "github.com/aws/aws-sdk-go-v2/service/acm"
	awsacmpca "github.com/aws/aws-sdk-go-v2/service/acmpca"
	acmpcatypes "github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	awshsm "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/trail"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
	"strongroom.dev/strongroom/internal/gateway/server"
	"strongroom.dev/strongroom/internal/operator"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

const (
	deniedNamespace = "denied"
	nobodyKey       = "AKIANOBODY0000000000"
	allowAll        = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	allowEveryone   = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}}`
)

// people are an administrator of the account, and a user who may do nothing.
type people struct{}

func (people) Credential(_ context.Context, id, _ string) (serviceiam.Credential, error) {
	name, all := "admin", []*iam.Policy(nil)
	var err error
	if id == nobodyKey {
		name = "nobody"
	} else {
		all = make([]*iam.Policy, 1)
		all[0], err = iam.Parse([]byte(allowAll), iam.Identity)
	}
	return serviceiam.Credential{Secret: secretbytes.Copy([]byte(secretKey)), Identity: &serviceiam.Identity{
		Type: serviceiam.TypeIAMUser, Namespace: deniedNamespace, Name: name, UserID: "AIDA" + strings.ToUpper(name), AccessKeyID: id,
		Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/" + name}, Identity: all,
	}}, err
}

// named is what members of requests name: what is there, and in the same words what is not.
type named map[string][2]string

// namesOf are those of a service, by the members' names on the wire.
type namesOf map[string]named

// subject is an installation with one thing of each kind.
type subject struct {
	*door
	cp    *environment.ControlPlane
	names namesOf
}

// TestWhoMayDoNothingChangesNothingAndIsToldNothing asks every operation that needs a permission about what is there, and about what is
// not. The refusal comes before any effect, and is the same.
func TestWhoMayDoNothingChangesNothingAndIsToldNothing(t *testing.T) {
	s := newSubject(t)
	before := s.settled(t)
	refused, others := 0, []string{}
	for service, op := range served(t) {
		for _, protocol := range protocols(op.limits.Service) {
			var told [2]string
			for i := range told {
				got := s.send(t, op.limits, protocol, false, s.input(op.limits, i))
				told[i] = fmt.Sprintf("%d %s: %s", got.status, got.code, s.without(service, got.message))
				if got.code == "AccessDeniedException" || got.code == "AccessDenied" {
					refused++
				} else if i == 0 {
					others = append(others, service+":"+op.limits.Name+" "+told[i])
				}
			}
			if told[0] != told[1] {
				t.Errorf("%s:%s in %s tells what is there:\n     there: %s\n not there: %s", service, op.limits.Name, protocol, told[0], told[1])
			}
		}
	}
	slices.Sort(others)
	for _, line := range slices.Compact(others) {
		name, _, _ := strings.Cut(line, " ")
		if !aboutTheInputAlone[name] {
			t.Errorf("asked without a permission: %s", line)
		}
	}
	if refused < leastDenied {
		t.Errorf("%d were refused for want of the permission; there were at least %d", refused, leastDenied)
	}
	after := s.settled(t)
	if !maps.Equal(before, after) {
		for name := range merge(before, after) {
			if before[name] != after[name] {
				t.Errorf("%s was %q and is %q", name, before[name], after[name])
			}
		}
	}
}

// leastDenied are the fewest refusals that there must be, so that the test cannot shrink unseen.
const leastDenied = 500

// aboutTheInputAlone are the operations whose smallest request is wrong in itself, which is told before anything is looked for.
var aboutTheInputAlone = map[string]bool{
	"acm-pca:CreateCertificateAuthority": true, // the first values of two enums do not go together
	// One of two members is needed, and the model requires neither.
	"kms:CreateGrant": true, "kms:ListRetirableGrants": true, "kms:RetireGrant": true,
}

type servedOperation struct {
	*gateway.Operation
	limits *limits.Operation
}

// served are all operations that need a permission.
func served(t *testing.T) func(yield func(string, servedOperation) bool) {
	return func(yield func(string, servedOperation) bool) {
		for _, service := range services() {
			model, err := limits.For(service.Name)
			if err != nil {
				t.Fatal(err)
			}
			for i := range service.Operations {
				op := &service.Operations[i]
				known, _ := model.Operation(op.Name)
				if !op.Unsigned && !op.Unauthorized && !yield(service.Name, servedOperation{op, known}) {
					return
				}
			}
		}
	}
}

// input is the smallest request that AWS's model allows, about what is there (0) or is not (1).
func (s *subject) input(op *limits.Operation, which int) any {
	in := valid(op.Input).(map[string]any)
	for _, m := range op.Input.Members {
		pair, known := s.names[op.Service.SigningName][m.Wire]
		if !known {
			continue
		}
		switch {
		case m.Shape.Type == table.List && m.Required:
			in[m.Wire] = []any{pair[which]}
		case m.Shape.Type == table.String:
			in[m.Wire] = pair[which]
		}
	}
	return in
}

// without is a message without what the request named.
func (s *subject) without(service, message string) string {
	model, _ := limits.For(service)
	var all []string
	for _, pair := range s.names[model.SigningName] {
		for _, name := range pair {
			all = append(all, name, strings.TrimPrefix(name, "/"))
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(a) - len(b) }) // a name before the ARN that it is in
	for _, name := range all {
		message = strings.ReplaceAll(message, name, "NAME")
	}
	return message
}

func merge(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// settled are the resource versions of all objects that Strongroom has to do with, once nothing changes any more.
func (s *subject) settled(t *testing.T) map[string]string {
	t.Helper()
	last := s.objects(t)
	for quiet, tries := 0, 0; quiet < 3; tries++ {
		time.Sleep(400 * time.Millisecond)
		now := s.objects(t)
		if quiet++; !maps.Equal(now, last) {
			quiet = 0
		}
		if last = now; tries > 60 {
			t.Fatal("the objects do not come to rest")
		}
	}
	return last
}

func (s *subject) objects(t *testing.T) map[string]string {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(s.cp.Config)
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := client.ServerResourcesForGroupVersion(v1alpha1.SchemeGroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	all := []schema.GroupVersionKind{{Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "ConfigMap"}}
	for _, r := range kinds.APIResources {
		if !strings.Contains(r.Name, "/") {
			all = append(all, v1alpha1.SchemeGroupVersion.WithKind(r.Kind))
		}
	}
	out := map[string]string{}
	for _, kind := range all {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := s.cp.Client.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			o := &list.Items[i]
			out[kind.Kind+" "+o.GetNamespace()+"/"+o.GetName()] = o.GetResourceVersion()
		}
	}
	return out
}

func newSubject(t *testing.T) *subject {
	t.Helper()
	cp, err := environment.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cp.Stop() })
	op, err := environment.RunOperator(t.Context(), cp.Config, operator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = op.Stop() })
	if err := cp.Namespace(t.Context(), deniedNamespace, map[string]string{v1alpha1.AccountIDLabel: account}); err != nil {
		t.Fatal(err)
	}
	gate, err := server.New(server.Options{
		Services: operator.GatewayServices(op.Services), Regions: []string{region}, Credentials: people{}, Trail: trail.NewWriter(io.Discard), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &subject{door: &door{Server: gate, as: nobodyKey}, cp: cp}
	s.names = s.furnish(t, operator.GatewayServices(op.Services))
	return s
}

// furnish makes one thing of each kind, as the administrator, and says what they are called.
func (s *subject) furnish(t *testing.T, all []gateway.Service) namesOf {
	t.Helper()
	credential, err := people{}.Credential(t.Context(), accessKey, "")
	if err != nil {
		t.Fatal(err)
	}
	key := administer[*awskms.CreateKeyOutput](t, all, credential, "kms", "CreateKey", &awskms.CreateKeyInput{}).KeyMetadata.KeyId
	administer[any](t, all, credential, "kms", "CreateAlias", &awskms.CreateAliasInput{AliasName: to("alias/there"), TargetKeyId: key})
	administer[any](t, all, credential, "secretsmanager", "CreateSecret", &awssm.CreateSecretInput{
		Name: to("there"), SecretString: to("x"), ClientRequestToken: to("00000000-0000-0000-0000-000000000000"),
	})
	administer[any](t, all, credential, "ssm", "PutParameter", &awsssm.PutParameterInput{Name: to("/there"), Value: to("x"), Type: ssmtypes.ParameterTypeString})
	policy := administer[*awsiam.CreatePolicyOutput](t, all, credential, "iam", "CreatePolicy", &awsiam.CreatePolicyInput{PolicyName: to("there"), PolicyDocument: to(allowAll)})
	administer[any](t, all, credential, "iam", "CreateUser", &awsiam.CreateUserInput{UserName: to("there")})
	administer[any](t, all, credential, "iam", "CreateGroup", &awsiam.CreateGroupInput{GroupName: to("there")})
	role := administer[*awsiam.CreateRoleOutput](t, all, credential, "iam", "CreateRole", &awsiam.CreateRoleInput{RoleName: to("there"), AssumeRolePolicyDocument: to(allowEveryone)})
	authority := administer[*awsacmpca.CreateCertificateAuthorityOutput](t, all, credential, "acm-pca", "CreateCertificateAuthority", &awsacmpca.CreateCertificateAuthorityInput{
		CertificateAuthorityType: acmpcatypes.CertificateAuthorityTypeRoot,
		CertificateAuthorityConfiguration: &acmpcatypes.CertificateAuthorityConfiguration{
			KeyAlgorithm: acmpcatypes.KeyAlgorithmEcPrime256v1, SigningAlgorithm: acmpcatypes.SigningAlgorithmSha256withecdsa,
			Subject: &acmpcatypes.ASN1Subject{CommonName: to("there")},
		},
	}).CertificateAuthorityArn
	imported := administer[*awsacm.ImportCertificateOutput](t, all, credential, "acm", "ImportCertificate", selfSigned(t)).CertificateArn
	certificate := [2]string{*imported, (*imported)[:len(*imported)-12] + "000000000000"}
	made := administer[*awshsm.CreateClusterOutput](t, all, credential, "cloudhsmv2", "CreateCluster", &awshsm.CreateClusterInput{HsmType: to("hsm1.medium"), SubnetIds: []string{"subnet-11111111"}})
	cluster := [2]string{*made.Cluster.ClusterId, "cluster-aaaaaaaaaaa"}
	name := func(prefix string) [2]string { return [2]string{prefix + "there", prefix + "nope0"} }
	id := [2]string{*key, "00000000-1111-4222-8333-444444444444"}
	ca := [2]string{*authority, (*authority)[:len(*authority)-12] + "000000000000"}
	return namesOf{
		"kms":            {"KeyId": id, "TargetKeyId": id, "SourceKeyId": id, "DestinationKeyId": id, "AliasName": name("alias/")},
		"secretsmanager": {"SecretId": name(""), "Name": name(""), "SecretIdList": name("")},
		"ssm": {
			"Name": name("/"), "Names": name("/"), "Path": name("/"), "ResourceId": name("/"), "ResourceType": {"Parameter", "Parameter"},
			"ResourceArn": name("arn:aws:ssm:" + region + ":" + account + ":parameter/"),
			"SettingId":   {"/ssm/parameter-store/default-parameter-tier", "/ssm/parameter-store/no-such-setting"},
		},
		"acm-pca":  {"CertificateAuthorityArn": ca, "ResourceArn": ca},
		"acm":      {"CertificateAuthorityArn": ca, "CertificateArn": certificate},
		"cloudhsm": {"ClusterId": cluster, "ResourceId": cluster},
		"iam": {
			"UserName": name(""), "GroupName": name(""), "RoleName": name(""), "PolicyName": name(""),
			"PolicyArn":       {*policy.Policy.Arn, strings.Replace(*policy.Policy.Arn, "there", "nope0", 1)},
			"PolicySourceArn": {"arn:aws:iam::" + account + ":user/there", "arn:aws:iam::" + account + ":user/nope0"},
		},
		"sts": {"RoleArn": {*role.Role.Arn, strings.Replace(*role.Role.Arn, "there", "nope0", 1)}},
	}
}

// selfSigned is a certificate with its key.
func selfSigned(t *testing.T) *awsacm.ImportCertificateInput {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"there.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &awsacm.ImportCertificateInput{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

func to[T any](v T) *T { return &v }

// administer carries out an operation as the administrator, again while what it needs is being made.
func administer[O any](t *testing.T, all []gateway.Service, c serviceiam.Credential, service, operation string, in any) (out O) {
	t.Helper()
	at := slices.IndexFunc(all, func(s gateway.Service) bool { return s.Name == service })
	op := slices.IndexFunc(all[at].Operations, func(o gateway.Operation) bool { return o.Name == operation })
	var err error
	for range 100 {
		call := &gateway.Call{Identity: c.Identity, Region: region, RequestID: "id", Time: time.Now(), Service: service, Operation: operation}
		var got any
		if got, err = all[at].Operations[op].Invoke(t.Context(), call, in); err == nil {
			out, _ = got.(O)
			return out
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s:%s: %v", service, operation, err)
	return out
}
