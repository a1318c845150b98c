//go:build cgo

package node_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/hsm/node"
)

var operatorURI = mtls.Name(hsmtest.Cluster, mtls.Operator, "test")

// Who has no good certificate of the cluster's authority does not even get to the API.
func TestACertificateThatIsNotGoodIsRefusedBeforeTheFirstRequest(t *testing.T) {
	var l logs
	r := active(t, l.in)
	a := r.authority
	stranger := hsmtest.NewAuthority(t)
	with := func(m *mtls.Material, change func(*tls.Config)) *tls.Config {
		c := tlsOf(m)
		c.RootCAs = a.Issue(t, operatorURI).Authorities
		if change != nil {
			change(c)
		}
		return c
	}
	past, future := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	for name, config := range map[string]*tls.Config{
		"none":                             with(a.Issue(t, operatorURI), func(c *tls.Config) { c.Certificates = nil }),
		"of another authority":             with(stranger.Issue(t, operatorURI), nil),
		"expired a minute ago":             with(a.IssueWith(t, operatorURI, func(c *x509.Certificate) { c.NotAfter = past }), nil),
		"valid from an hour on":            with(a.IssueWith(t, operatorURI, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = future, future.Add(time.Hour) }), nil),
		"for servers alone":                with(a.IssueWith(t, operatorURI, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), nil),
		"for something else":               with(a.IssueWith(t, operatorURI, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), nil),
		"good, over an older TLS":          with(a.Issue(t, operatorURI), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }),
		"another's, without its own key":   with(a.Issue(t, operatorURI), func(c *tls.Config) { c.Certificates[0].PrivateKey = a.Issue(t, operatorURI).Certificate.PrivateKey }),
		"good, with no protocol like ours": with(a.Issue(t, operatorURI), func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }),
	} {
		conn, err := tls.Dial("tcp", r.Address, config)
		if err == nil { // a client knows of a refusal with its first read, in TLS 1.3
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		if err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, r.sign(background(t), r.key(t, "ECC_NIST_P256")))
	if strings.Contains(l.String(), "CANARY") {
		t.Error(l.String())
	}
}

// Who has a certificate of the authority that says another thing than operator of this cluster gets in, and may do nothing but what that is for.
func TestACertificateOfAnotherNameMayDoNothingAndIsLogged(t *testing.T) {
	var l logs
	a := hsmtest.NewAuthority(t)
	r := start(t, a, "", l.in)
	r.state(t, hsmpb.State_STATE_UNINITIALIZED)
	uri := func(text string) *url.URL {
		u, err := url.Parse(text)
		must(t, err)
		return u
	}
	two := a.IssueWith(t, operatorURI, func(c *x509.Certificate) {
		c.URIs = []*url.URL{operatorURI, mtls.Name(hsmtest.Cluster, mtls.Node, "node")}
	})
	for name, m := range map[string]*mtls.Material{
		"an operator of another cluster": a.Issue(t, mtls.Name("other", mtls.Operator, "x")),
		"an operator of a longer name":   a.Issue(t, mtls.Name(hsmtest.Cluster+"2", mtls.Operator, "x")),
		"somebody of another domain":     a.Issue(t, uri("spiffe://evil.example/hsm/"+hsmtest.Cluster+"/operator/x")),
		"a role that there is not":       a.Issue(t, uri("spiffe://strongroom.dev/hsm/"+hsmtest.Cluster+"/root/x")),
		"two names":                      two,
		"no name":                        a.IssueWith(t, operatorURI, func(c *x509.Certificate) { c.URIs = nil }),
		"a name as the common one": a.IssueWith(t, operatorURI, func(c *x509.Certificate) {
			c.URIs, c.Subject.CommonName = nil, operatorURI.String()
		}),
		"a path with an escaped slash": a.Issue(t, uri("spiffe://strongroom.dev/hsm/"+hsmtest.Cluster+"%2Foperator/operator/x")),
	} {
		for _, c := range every() {
			wants(t, name+" calls "+c.method, c.on(background(t), r.Address, t, tlsOf(m)), hsm.ErrPermissionDenied)
		}
	}
	if s := r.state(t, hsmpb.State_STATE_UNINITIALIZED); s.GetModuleStarts() != 1 {
		t.Errorf("%v", s)
	}
	if got := strings.Count(l.String(), `"refused"`); got != 8*len(every()) {
		t.Errorf("%d refusals are logged", got)
	}
}

// Permission comes before existence: who may not ask is not told how far the token is.
func TestANodesOwnCertificateMayAskForTheStatusAloneInWhateverStateTheTokenIs(t *testing.T) {
	a := hsmtest.NewAuthority(t)
	r := start(t, a, "")
	peer := tlsOf(a.Issue(t, mtls.Name(hsmtest.Cluster, mtls.Node, "peer")))
	for _, state := range []hsmpb.State{hsmpb.State_STATE_UNINITIALIZED, hsmpb.State_STATE_INITIALIZED} {
		r.state(t, state)
		for _, c := range every() {
			var want error
			if c.method != "Status" {
				want = hsm.ErrPermissionDenied
			}
			wants(t, c.method+" in "+state.String(), c.on(background(t), r.Address, t, peer), want)
		}
		_, err := r.api.Initialize(background(t), &hsmpb.InitializeRequest{})
		must(t, err)
	}
}

func TestWhatIsNoRequestOfTheAPIIsAnsweredAsGRPCAnswersIt(t *testing.T) {
	r := active(t)
	conn, err := grpc.NewClient("passthrough:///"+r.Address, grpc.WithTransportCredentials(credentials.NewTLS(tlsOf(r.authority.Issue(t, operatorURI)))))
	must(t, err)
	defer conn.Close()
	ctx := background(t)
	for method, code := range map[string]codes.Code{
		"/strongroom.hsm.v1.Node/Destroy":                    codes.Unimplemented,
		"/strongroom.hsm.v1.Other/Status":                    codes.Unimplemented,
		"/grpc.reflection.v1.ServerReflection/ServerInfo":    codes.Unimplemented,
		"/strongroom.hsm.v1.Node/random":                     codes.Unimplemented,
		"/strongroom.hsm.v1.Node/../Node/Random":             codes.Unimplemented,
		"//strongroom.hsm.v1.Node/Random":                    codes.Unimplemented,
		"/strongroom.hsm.v1.Node/" + strings.Repeat("x", 64): codes.Unimplemented,
	} {
		if err := conn.Invoke(ctx, method, &hsmpb.RandomRequest{Size: 8}, &hsmpb.RandomResponse{}); status.Code(err) != code {
			t.Errorf("%s: %v", method, err)
		}
	}
	// Bytes that are another message, or none: a length that goes on behind the end, and a group that is never closed.
	for _, body := range [][]byte{{0xff, 0xff, 0xff, 0xff}, {0x0a, 0xff, 0xff, 0xff, 0x7f}, {0x0b}, {0x08, 0x80}} {
		err := conn.Invoke(ctx, "/strongroom.hsm.v1.Node/Wrap", body, &hsmpb.WrapResponse{}, grpc.ForceCodec(raw{}))
		if code := status.Code(err); code != codes.Internal && code != codes.InvalidArgument {
			t.Errorf("%x: %v", body, err)
		}
	}
	large := metadata.AppendToOutgoingContext(ctx, "x", strings.Repeat("x", 64<<10))
	if err := conn.Invoke(large, "/strongroom.hsm.v1.Node/Random", &hsmpb.RandomRequest{Size: 8}, &hsmpb.RandomResponse{}); err == nil {
		t.Error("64 KiB of headers are taken")
	}
	must(t, r.sign(ctx, r.key(t, "ECC_NIST_P256")))
}

// raw sends bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (raw) Unmarshal([]byte, any) error   { return nil }
func (raw) Name() string                  { return "proto" }

func TestWhatIsNoTLSIsHungUpOn(t *testing.T) {
	r := active(t)
	plain := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if answer, err := plain.Get("http://" + r.Address + "/"); err == nil {
		defer answer.Body.Close()
		if body, _ := io.ReadAll(answer.Body); answer.StatusCode == http.StatusOK {
			t.Errorf("%s", body)
		}
	}
	for name, first := range map[string]string{
		"HTTP/2 in the clear": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "zeros": strings.Repeat("\x00", 1024), "a record of TLS that is too long": "\x16\x03\x01\xff\xff" + strings.Repeat("x", 70000),
	} {
		conn, err := net.Dial("tcp", r.Address)
		must(t, err)
		must(t, conn.SetDeadline(time.Now().Add(15*time.Second)))
		_, _ = io.WriteString(conn, first) // it may be hung up on in the middle
		rest, err := io.ReadAll(io.LimitReader(bufio.NewReader(conn), 1<<16))
		if ne, timeout := err.(net.Error); timeout && ne.Timeout() || len(rest) > 512 { //nolint:errorlint // it is not wrapped
			t.Errorf("%s: %d bytes, %v", name, len(rest), err)
		}
		_ = conn.Close()
	}
	must(t, r.sign(background(t), r.key(t, "ECC_NIST_P256")))
}

// Many who connect and say nothing hold up nobody.
func TestConnectionsThatSayNothingHoldUpNobody(t *testing.T) {
	r := active(t)
	for range 200 {
		conn, err := net.Dial("tcp", r.Address)
		must(t, err)
		defer conn.Close()
	}
	other := dial(t, r.Address, tlsOf(r.authority.Issue(t, operatorURI)))
	if _, err := other.Random(background(t), &hsmpb.RandomRequest{Size: 8}); err != nil {
		t.Error(err)
	}
}

// A certificate that is replaced counts with the next connection, and an authority that is taken away with it.
func TestANodeTakesANewCertificateAndANewAuthorityWithoutARestart(t *testing.T) {
	former, latter := hsmtest.NewAuthority(t), hsmtest.NewAuthority(t)
	current := make(chan *mtls.Material, 1)
	current <- former.Issue(t, mtls.Name(hsmtest.Cluster, mtls.Node, "node"))
	source := func() (*mtls.Material, error) {
		m := <-current
		current <- m
		return m, nil
	}
	r := start(t, former, "", func(o *node.Options) { o.TLS = source })
	r.state(t, hsmpb.State_STATE_UNINITIALIZED)
	ask := func(a *hsmtest.Authority) error {
		_, err := dial(t, r.Address, tlsOf(a.Issue(t, operatorURI))).Status(background(t), &hsmpb.StatusRequest{})
		return err
	}
	must(t, ask(former))
	<-current
	current <- latter.Issue(t, mtls.Name(hsmtest.Cluster, mtls.Node, "node"))
	must(t, ask(latter))
	if err := ask(former); status.Code(err) != codes.Unavailable {
		t.Errorf("the former authority: %v", err)
	}
}

func TestANodeThatCannotReadItsCertificateDoesNotServeAtAll(t *testing.T) {
	a := hsmtest.NewAuthority(t)
	r := hsmtest.Start(t, a, "", "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	r.TLS = func() (*mtls.Material, error) { return nil, fmt.Errorf("no certificate") }
	if err := r.Serve(background(t), listener); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("%v", err)
	}
}
