package cmd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// checked reads flags as the command does, and checks them, without a cluster.
func checked(t *testing.T, args ...string) error {
	t.Helper()
	t.Setenv("POD_NAMESPACE", "")
	var f managerFlags
	c := newManagerOf(&f)
	if err := c.ParseFlags(args); err != nil {
		return err
	}
	return f.check()
}

// A region becomes part of ARNs, which are cut at colons and matched by patterns.
func TestARegionIsOneOfAWSsFormAndAllOthersOfTheListToo(t *testing.T) {
	for region, ok := range map[string]bool{
		"us-east-1": true, "eu-central-2": true, "us-gov-west-1": true, "cn-north-1": true, "local-1": true,
		"": false, "us": false, "us-": false, "-east-1": false, "US-EAST-1": false, "us_east_1": false, "us-east-1 ": false, "us-east-1\n": false,
		"us:east": false, "*": false, "us-*-1": false, "us--1": false, "arn:aws": false, "us-east-1/x": false, "é-1": false,
	} {
		if err := checked(t, "--region="+region); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "--region is") {
			t.Errorf("%q: %v", region, err)
		}
		if region == "" || strings.Contains(region, "\n") { // which a list of flags has no entry for
			continue
		}
		if err := checked(t, "--regions=eu-west-1,"+region); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "--regions has") {
			t.Errorf("%q among regions: %v", region, err)
		}
	}
}

// Profiles are served without authentication, so whoever is not on this machine must not get there.
func TestProfilesAreServedOnLoopbackAlone(t *testing.T) {
	for address, ok := range map[string]bool{
		"0": true, "127.0.0.1:6060": true, "[::1]:6060": true, "localhost:6060": true, "127.9.9.9:1": true,
		"": false, ":6060": false, "0.0.0.0:6060": false, "[::]:6060": false, "10.0.0.1:6060": false, "example.com:6060": false,
		"127.0.0.1": false, "localhost.example.com:6060": false, "127.0.0.1.example.com:6060": false, "6060": false,
	} {
		if err := checked(t, "--pprof-bind-address="+address); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestNumbersAreWithinTheirLimits(t *testing.T) {
	for args, ok := range map[string]bool{
		"--concurrency=0": false, "--concurrency=1": true, "--concurrency=1024": true, "--concurrency=1025": false, "--concurrency=-1": false,
		"--gateway-source-share=4": false, "--gateway-source-share=5": true, "--gateway-source-share=100": true, "--gateway-source-share=101": false,
		"--gateway-source-share=0":    false,
		"--cloudhsm-clusters-quota=0": false, "--cloudhsm-clusters-quota=1": true, "--cloudhsm-clusters-quota=1000": true, "--cloudhsm-clusters-quota=1001": false,
		"--cloudhsm-hsms-quota=0": false, "--cloudhsm-hsms-quota=1": true, "--cloudhsm-hsms-quota=1000": true, "--cloudhsm-hsms-quota=1001": false,
	} {
		if err := checked(t, args); (err == nil) != ok {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestHSMNodesRunInOnePlace(t *testing.T) {
	for _, args := range [][]string{nil, {"--hsm-image=x"}, {"--hsm-local-directory=x"}} {
		if err := checked(t, args...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	if err := checked(t, "--hsm-image=x", "--hsm-local-directory=y"); err == nil || !strings.Contains(err.Error(), "give one of them") {
		t.Errorf("%v", err)
	}
}

func TestTheLibrariesThatNodesMayLoadAreWholePaths(t *testing.T) {
	for args, ok := range map[string]bool{
		"--hsm-libraries=/opt/a.so": true, "--hsm-libraries=/opt/a.so,/opt/b.so": true, "--hsm-libraries=a.so": false, "--hsm-libraries=/opt/../a.so": false,
		"--hsm-libraries=/opt//a.so": false, "--hsm-libraries=/opt/a.so,": false, "--hsm-libraries=/opt/a.so=payments@bank,/opt/a.so=*@shop": true,
		"--hsm-libraries=/opt/a.so=payments": false, "--hsm-libraries=/opt/a.so=@bank": false,
	} {
		if err := checked(t, args); (err == nil) != ok {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// A command line is in every user's list of processes.
func TestNoFlagTakesASecret(t *testing.T) {
	for name, c := range map[string]*pflag.FlagSet{"manager": newManager().Flags(), "hsm": newHSM().Flags()} {
		c.VisitAll(func(f *pflag.Flag) {
			for _, secret := range []string{"pin", "password", "secret", "token", "passphrase"} {
				if strings.Contains(f.Name, secret) && !strings.HasSuffix(f.Name, "-file") && f.Name != "token-label" && f.Value.Type() != "bool" {
					t.Errorf("%s --%s", name, f.Name)
				}
			}
		})
	}
}

func TestEachFlagOfANodeThatIsMissingIsSaidByItsName(t *testing.T) {
	full := func() *hsmFlags {
		f := &hsmFlags{certificate: "c", key: "k", ca: "a", pinFile: "p"}
		f.Cluster, f.StateDir = "cluster", "dir"
		return f
	}
	if err := full().complete(); err != nil {
		t.Fatal(err)
	}
	for flag, without := range map[string]func(*hsmFlags){
		"--cluster": func(f *hsmFlags) { f.Cluster = "" }, "--state-dir": func(f *hsmFlags) { f.StateDir = "" },
		"--tls-cert-file": func(f *hsmFlags) { f.certificate = "" }, "--tls-key-file": func(f *hsmFlags) { f.key = "" },
		"--tls-ca-file": func(f *hsmFlags) { f.ca = "" }, "--pin-file": func(f *hsmFlags) { f.pinFile = "" },
	} {
		f := full()
		without(f)
		if err := f.complete(); err == nil || !strings.Contains(err.Error(), flag+" is missing") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestAPINComesFromAFileOrTheEnvironmentAndTheFileIsFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(file, []byte("from-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(pinVariable, "")
	if pinOf("", pinVariable) != nil {
		t.Error("a PIN came from nowhere")
	}
	t.Setenv(pinVariable, "from-the-environment")
	for name, want := range map[string]string{file: "from-the-file", "": "from-the-environment"} {
		pin, err := pinOf(name, pinVariable)()
		if err != nil || string(pin.Reveal()) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := pinOf(filepath.Join(t.TempDir(), "missing"), pinVariable)(); err == nil || strings.Contains(err.Error(), "from-the") {
		t.Errorf("a file that is missing: %v", err)
	}
}

func TestANodeStartsItsModuleAsAnotherProcessOfThisProgram(t *testing.T) {
	f := &hsmFlags{certificate: "c", key: "k", ca: "a", pinFile: "p"}
	f.Cluster, f.StateDir = "cluster", "dir"
	if err := f.complete(); err != nil {
		t.Fatal(err)
	}
	cmd := f.Command()
	self, err := os.Executable()
	if err != nil || cmd.Path != self || len(cmd.Args) != 2 || cmd.Args[1] != hsmModule || cmd.Stdout != os.Stderr || cmd.Stderr != os.Stderr {
		t.Errorf("%v: %v, %v", cmd.Args, cmd.Path, err)
	}
}

func answer(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestTheProbesOfANodeSayThatItLivesAndWhyItDoesNotServe(t *testing.T) {
	address := unused(t)
	var why error
	stop, err := serveProbes(t.Context(), address, func(context.Context) error { return why })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, tt := range []struct {
		why    error
		path   string
		status int
		body   string
	}{
		{nil, "/healthz", 200, "ok\n"}, {nil, "/readyz", 200, "ok\n"},
		{errors.New("the token is not initialised"), "/readyz", 503, "the token is not initialised\n"},
		{errors.New("the token is not initialised"), "/healthz", 200, "ok\n"}, // a restart would not help
		{nil, "/", 404, ""}, {nil, "/debug/pprof/", 404, ""}, {nil, "/metrics", 404, ""},
	} {
		why = tt.why
		if status, body := answer(t, "http://"+address+tt.path); status != tt.status || tt.body != "" && body != tt.body {
			t.Errorf("%s while %v: %d %q", tt.path, tt.why, status, body)
		}
	}
	if r, err := http.Post("http://"+address+"/readyz", "text/plain", nil); err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %v", err)
	}
	if _, err := serveProbes(t.Context(), address, nil); err == nil || !strings.Contains(err.Error(), "--health-probe-bind-address") {
		t.Errorf("an address that is taken: %v", err)
	}
	stop()
	again, err := serveProbes(t.Context(), address, nil)
	if err != nil {
		t.Fatalf("the address is not free when the probes have stopped: %v", err)
	}
	again()
	none, err := serveProbes(t.Context(), "0", nil)
	if err != nil {
		t.Fatal(err)
	}
	none()
}

// Who opens a connection and says nothing, or says it slowly, must not hold it.
func TestAProbeThatIsNotAskedEndsTheConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for a timeout of 5 seconds")
	}
	address := unused(t)
	stop, err := serveProbes(t.Context(), address, func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c := dial(t, address)
	defer c.Close()
	if _, err := c.Write([]byte("GET /readyz HTTP/1.1\r\nHost: x\r\nX-Slow: ")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	begin := time.Now()
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it is open after %s", time.Since(begin))
	}
}
