package bench

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	connections = 8
	benchRegion = "us-east-1"
)

// targets are the prefixes of X-Amz-Target.
var targets = map[string]string{"kms": "TrentService", "secretsmanager": "secretsmanager", "ssm": "AmazonSSM", "acm-pca": "ACMPrivateCA"}

// signer is who signs.
type signer struct{ id, secret string }

// sign makes a request as aws-sdk-go-v2 does, in bytes: signed beforehand, it costs the client nothing while the server is
// measured. A signature is good for five minutes.
func (s signer) sign(address, service, operation, body string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, "https://"+address+"/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"X-Amz-Target": targets[service] + "." + operation, "Content-Type": "application/x-amz-json-1.1",
		"Amz-Sdk-Invocation-Id": "8c9e6b1c-3f0e-4b6e-9a43-1f1f4d1d8a01", "Amz-Sdk-Request": "attempt=1; max=3", "Accept-Encoding": "identity",
		"User-Agent": "aws-sdk-go-v2/1.39.0 ua/2.1 os/linux lang/go#1.27.3 md/GOOS#linux md/GOARCH#amd64 api/" + service + "#1.45.0 m/E,g",
	} {
		req.Header.Set(name, value)
	}
	sum := sha256.Sum256([]byte(body))
	credentials := aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret}
	if err := v4.NewSigner().SignHTTP(req.Context(), credentials, req, hex.EncodeToString(sum[:]), service, benchRegion, time.Now()); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = req.Write(&out)
	return out.Bytes(), err
}

// peer is a server in a process of its own, which does what it is told on its standard input.
type peer struct {
	b       *bench
	name    string
	address string
	trust   []byte // PEM
	in      io.Writer
	out     *bufio.Reader
}

// spawn starts a server's process and waits until it says where it listens.
func (b *bench) spawn(test string, args ...string) *peer {
	b.t.Helper()
	process := exec.Command(os.Args[0], append(args, "-test.run=^"+test+"$", "-bench-pprof="+*pprof)...)
	process.Stderr = os.Stderr
	in, err := process.StdinPipe()
	b.must(err)
	out, err := process.StdoutPipe()
	b.must(err)
	b.must(process.Start())
	b.t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	p := &peer{b: b, name: test, in: in, out: bufio.NewReader(out)}
	p.address = p.answer()
	if bundle := p.answer(); bundle != "" {
		p.trust, err = os.ReadFile(bundle)
		b.must(err)
	}
	return p
}

// command has the process do something, and answers what it says.
func (p *peer) command(format string, args ...any) string {
	p.b.t.Helper()
	_, err := fmt.Fprintf(p.in, format+"\n", args...)
	p.b.must(err)
	return p.answer()
}

func (p *peer) answer() string {
	p.b.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.b.t.Fatalf("%s: %v: %s", p.name, err, line)
	}
	return strings.TrimSpace(line)
}

// usage is what a process has used so far, by its own accounting: CPU in nanoseconds, the collector and the kernel's part in it;
// allocations in bytes and in number.
type usage struct{ cpu, bytes, allocations float64 }

func (p *peer) usage() (u usage) {
	_, err := fmt.Sscan(p.command("usage"), &u.cpu, &u.bytes, &u.allocations)
	p.b.must(err)
	return u
}

// conn is a kept connection of HTTP/1.1.
type conn struct {
	*tls.Conn
	in *bufio.Reader
}

func (b *bench) dial(p *peer) *conn {
	b.t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(p.trust) {
		b.t.Fatal("there is no certificate to trust")
	}
	c, err := tls.Dial("tcp", p.address, &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13})
	b.must(err)
	return &conn{c, bufio.NewReaderSize(c, 64<<10)}
}

// do sends a request and reads its answer.
func (c *conn) do(request []byte) (status, body []byte, err error) {
	if _, err := c.Write(request); err != nil {
		return nil, nil, err
	}
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return nil, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if status == nil {
			status = slices.Clone(line)
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return nil, nil, err
			}
		}
		if len(line) == 0 {
			break
		}
	}
	body, err = c.in.Peek(length)
	if err == nil {
		_, err = c.in.Discard(length)
	}
	return status, body, err
}

// mustDo does a request that succeeds.
func (c *conn) mustDo(b *bench, request []byte) []byte {
	b.t.Helper()
	status, body, err := c.do(request)
	b.must(err)
	if string(status) != "HTTP/1.1 200 OK" {
		b.t.Fatalf("%s: %s", status, body)
	}
	return body
}

// cost is what a request of an operation costs.
type cost struct {
	requests int
	p50, p99 time.Duration
	// The server's: CPU in µs, and allocations in KB and in number, which do not depend on what else the machine does.
	cpu, kilobytes, allocations float64
}

func (c cost) String() string {
	return fmt.Sprintf("%5.1f µs CPU, %.1f KB in %.0f allocations; p50 %d, p99 %d µs", c.cpu, c.kilobytes, c.allocations,
		c.p50.Microseconds(), c.p99.Microseconds())
}

// measure runs an operation in a closed loop over some connections, after a little of it unmeasured.
func (g *gatewayBench) measure(p *peer, by signer, operation, what string) cost {
	g.t.Helper()
	requests := g.requests64(p, by, operation)
	conns := make([]*conn, connections)
	for i := range conns {
		conns[i] = g.dial(p)
		defer conns[i].Close()
	}
	g.load(conns, requests, *each/5)
	p.command("collect")
	if *profile != "" {
		p.command("profile %s", filepath.Join(*profile, strings.ReplaceAll(operation+"-"+what, " ", "-")))
	}
	before := p.usage()
	times := g.load(conns, requests, *each)
	after := p.usage()
	if *profile != "" {
		p.command("profile")
	}
	slices.Sort(times)
	n := len(times)
	per := func(before, after float64) float64 { return (after - before) / 1e3 / float64(n) }
	return cost{
		requests: n, p50: times[n/2], p99: times[n*99/100], cpu: per(before.cpu, after.cpu),
		kilobytes: per(before.bytes, after.bytes), allocations: 1e3 * per(before.allocations, after.allocations),
	}
}

// load gives the time of each request.
func (g *gatewayBench) load(conns []*conn, requests [][]byte, during time.Duration) (all []time.Duration) {
	var group sync.WaitGroup
	times := make([][]time.Duration, len(conns))
	end := time.Now().Add(during)
	for i, c := range conns {
		group.Go(func() {
			for n, begin := i, time.Now(); begin.Before(end); n++ {
				status, body, err := c.do(requests[n%len(requests)])
				if err != nil || string(status) != "HTTP/1.1 200 OK" {
					g.t.Errorf("%s: %s: %v", status, body, err)
					return
				}
				now := time.Now()
				times[i] = append(times[i], now.Sub(begin))
				begin = now
			}
		})
	}
	group.Wait()
	all = slices.Concat(times...)
	if len(all) == 0 {
		g.t.Fatal("no request was answered")
	}
	return all
}
