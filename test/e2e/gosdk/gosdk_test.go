// Package gosdk_test has aws-sdk-go-v2, unmodified, against the gateway of a running instance: `make e2e` starts it. All that the
// SDK needs is in the environment.
package gosdk_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

func TestMain(m *testing.M) {
	if os.Getenv("STRONGROOM_E2E") == "" {
		fmt.Println("these need a running instance: test/e2e/clients.sh runs them, in `make test` and `make e2e`")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func loaded(t *testing.T, options ...func(*config.LoadOptions) error) aws.Config {
	t.Helper()
	c, err := config.LoadDefaultConfig(t.Context(), options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// observed notes the protocol of answers, and loses as many of them as lose says after the server has given them.
type observed struct {
	http.RoundTripper
	proto atomic.Value
	lose  atomic.Int32
	asked atomic.Int32
}

func (o *observed) RoundTrip(r *http.Request) (*http.Response, error) {
	o.asked.Add(1)
	response, err := o.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	o.proto.Store(response.Proto)
	if o.lose.Add(-1) >= 0 {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return response, nil
}

func transport(t *testing.T, http2 bool) *observed {
	t.Helper()
	pem, err := os.ReadFile(os.Getenv("AWS_CA_BUNDLE"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("AWS_CA_BUNDLE has no certificate")
	}
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	return &observed{RoundTripper: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: &protocols}}
}

func TestKeysAreMadeUsedAndRefusedWithTypedErrors(t *testing.T) {
	client := kms.NewFromConfig(loaded(t))
	made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{Description: aws.String("go")})
	if err != nil {
		t.Fatal(err)
	}
	id := made.KeyMetadata.KeyId
	plaintext, where := []byte{0, 255}, map[string]string{"a": "ä"}
	encrypted, err := client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: id, Plaintext: plaintext, EncryptionContext: where})
	if err != nil {
		t.Fatal(err)
	}
	decrypted, err := client.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: encrypted.CiphertextBlob, EncryptionContext: where})
	if err != nil || !bytes.Equal(decrypted.Plaintext, plaintext) || *decrypted.KeyId != *made.KeyMetadata.Arn {
		t.Errorf("%+v, %v", decrypted, err)
	}
	var invalid *kmstypes.InvalidCiphertextException
	if _, err := client.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: encrypted.CiphertextBlob}); !errors.As(err, &invalid) {
		t.Errorf("without its context: %v", err)
	}
	if _, err := client.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	described, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: id})
	if err != nil || described.KeyMetadata.Enabled || described.KeyMetadata.KeyState != kmstypes.KeyStateDisabled {
		t.Errorf("%+v, %v", described, err)
	}
	var disabled *kmstypes.DisabledException
	if _, err := client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: id, Plaintext: plaintext}); !errors.As(err, &disabled) {
		t.Errorf("a disabled key: %v", err)
	}
	var none *kmstypes.NotFoundException
	if _, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/go/none")}); !errors.As(err, &none) {
		t.Errorf("a key that is not there: %v", err)
	}
}

// The first answer is lost on its way, so the SDK sends the request again: what it asked is done once.
func TestARequestWhoseAnswerIsLostIsTriedAgainAndDoneOnce(t *testing.T) {
	lossy := transport(t, false)
	lossy.lose.Store(1)
	client := secretsmanager.NewFromConfig(loaded(t), func(o *secretsmanager.Options) {
		o.HTTPClient, o.RetryMaxAttempts = &http.Client{Transport: lossy}, 3
	})
	made, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("go/retried"), SecretString: aws.String("x")})
	if err != nil || lossy.asked.Load() != 2 {
		t.Fatalf("%d requests, %v", lossy.asked.Load(), err)
	}
	versions, err := client.ListSecretVersionIds(t.Context(), &secretsmanager.ListSecretVersionIdsInput{SecretId: made.ARN, IncludeDeprecated: aws.Bool(true)})
	if err != nil || len(versions.Versions) != 1 || *versions.Versions[0].VersionId != *made.VersionId {
		t.Errorf("%+v, %v", versions, err)
	}
	lossy.lose.Store(1)
	put, err := client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: made.ARN, SecretBinary: []byte{0, 255}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: made.ARN})
	if err != nil || !bytes.Equal(got.SecretBinary, []byte{0, 255}) || got.SecretString != nil || *got.VersionId != *put.VersionId {
		t.Errorf("%v, %v", got, err)
	}
	var none *smtypes.ResourceNotFoundException
	if _, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("go/none")}); !errors.As(err, &none) {
		t.Errorf("a secret that is not there: %v", err)
	}
}

func TestBothVersionsOfHTTPAreSpoken(t *testing.T) {
	for http2, want := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
		seen := transport(t, http2)
		client := sts.NewFromConfig(loaded(t), func(o *sts.Options) { o.HTTPClient = &http.Client{Transport: seen} })
		if _, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil || seen.proto.Load() != want {
			t.Errorf("%v, want %s: %v", seen.proto.Load(), want, err)
		}
	}
}

// Others take such a URL as a proof of who one is.
func TestAPresignedGetCallerIdentityIsAnsweredAndATamperedOneIsNot(t *testing.T) {
	presigned, err := sts.NewPresignClient(sts.NewFromConfig(loaded(t))).PresignGetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport(t, true)}
	for url, want := range map[string]int{presigned.URL: http.StatusOK, presigned.URL + "&X=1": http.StatusForbidden} {
		request, err := http.NewRequestWithContext(t.Context(), presigned.Method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != want || strings.Contains(string(body), ":user/administrator</Arn>") != (want == http.StatusOK) {
			t.Errorf("%d, want %d: %s", response.StatusCode, want, body)
		}
	}
}

// As in a pod: no credentials, but the token of a service account.
func TestAServiceAccountsTokenReadsWhatItsRoleMayAndNothingElse(t *testing.T) {
	c := loaded(t)
	provider := stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(c, func(o *sts.Options) { o.Credentials = aws.AnonymousCredentials{} }),
		os.Getenv("E2E_ROLE_ARN"), stscreds.IdentityTokenFile(os.Getenv("E2E_TOKEN_FILE")))
	c.Credentials = aws.NewCredentialsCache(provider)
	reads(t, c)
}

// The same by nothing but the environment that an injected pod has. The SDK asks STS before it has looked at AWS_ENDPOINT_URL, which
// is why such a pod has AWS_ENDPOINT_URL_STS too.
func TestTheEnvironmentOfAPodIsAllThatTheSDKNeeds(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_ENDPOINT_URL_STS", os.Getenv("AWS_ENDPOINT_URL"))
	t.Setenv("AWS_ROLE_ARN", os.Getenv("E2E_ROLE_ARN"))
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", os.Getenv("E2E_TOKEN_FILE"))
	reads(t, loaded(t))
}

func reads(t *testing.T, c aws.Config) {
	t.Helper()
	read := func(name string) (*secretsmanager.GetSecretValueOutput, error) {
		return secretsmanager.NewFromConfig(c).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name})
	}
	if got, err := read("prod/shop/db"); err != nil || aws.ToString(got.SecretString) != os.Getenv("E2E_SHOP_VALUE") {
		t.Errorf("its own: %v", err)
	}
	var known smithy.APIError
	if _, err := read("prod/other"); !errors.As(err, &known) || known.ErrorCode() != "AccessDeniedException" {
		t.Errorf("another: %v", err)
	}
}
