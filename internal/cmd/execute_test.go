package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// asCommand makes this test's binary the command line itself, so that exit codes, streams and arguments are a process's own.
const (
	asCommand = "STRONGROOM_TEST_AS_COMMAND"
	asLogger  = "STRONGROOM_TEST_AS_LOGGER"
)

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(Execute(ctrl.SetupSignalHandler())) // as main does
	}
	if os.Getenv(asLogger) != "" {
		logEverything()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type outcome struct {
	code           int
	stdout, stderr string
}

// strongroom runs the command line in a process of its own, in an empty folder and without any cluster to be found.
func strongroom(t *testing.T, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{asCommand + "=1", "HOME=" + cmd.Dir, "GOCOVERDIR=" + cmd.Dir} // the last for go test -cover, which else complains
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func TestTheExitCodeAndTheStreamsTellAScriptWhatHappened(t *testing.T) {
	for name, tt := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string // what each holds; "" for nothing at all
	}{
		"the version":                       {[]string{"version"}, 0, "strongroom development\n", ""},
		"help":                              {[]string{"--help"}, 0, "manager", ""},
		"help of a command":                 {[]string{"help", "manager"}, 0, "--leader-elect", ""},
		"nothing":                           {nil, 0, "Usage:", ""},
		"an unknown command":                {[]string{"serve"}, 1, "", `strongroom: unknown command "serve"`},
		"an unknown flag":                   {[]string{"manager", "--frobnicate"}, 1, "", "strongroom: unknown flag: --frobnicate"},
		"an argument too many":              {[]string{"version", "now"}, 1, "", "strongroom: "},
		"an argument too many of another":   {[]string{"manager", "now"}, 1, "", "strongroom: "},
		"a number that is none":             {[]string{"manager", "--concurrency=many"}, 1, "", "--concurrency"},
		"a duration that is none":           {[]string{"manager", "--graceful-shutdown-timeout=5"}, 1, "", "--graceful-shutdown-timeout"},
		"a region that cannot be in an ARN": {[]string{"manager", "--region=a:b"}, 1, "", "--region is \"a:b\""},
		"a switch that is none":             {[]string{"manager", "--leader-elect=perhaps"}, 1, "", "--leader-elect"},
		"no cluster":                        {[]string{"manager"}, 1, "", "give --kubeconfig, or run in a pod"},
		"a kubeconfig that is missing":      {[]string{"manager", "--kubeconfig=missing"}, 1, "", "missing"},
		"a kubeconfig that is a folder":     {[]string{"manager", "--kubeconfig=."}, 1, "", "strongroom: "},
	} {
		t.Run(name, func(t *testing.T) {
			got := strongroom(t, tt.args...)
			if got.code != tt.code || !strings.Contains(got.stdout, tt.stdout) || !strings.Contains(got.stderr, tt.stderr) {
				t.Errorf("%+v", got)
			}
			if (tt.stdout == "") != (got.stdout == "") || (tt.stderr == "") != (got.stderr == "") {
				t.Errorf("more was written than is wanted: %+v", got)
			}
			// An error is one line: no usage that pushes it out of sight.
			if tt.stderr != "" && strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("%q", got.stderr)
			}
		})
	}
}

func TestTheVersionIsThreeLinesThatScriptsCanRead(t *testing.T) {
	got := strongroom(t, "version")
	shape := regexp.MustCompile(`^strongroom \S+\ngo go1\.\d+\S*( X:\S+)?\nfips140 module \S+, enabled (true|false)\n$`)
	if !shape.MatchString(got.stdout) {
		t.Errorf("%q", got.stdout)
	}
}

// What is left out of the documentation of a flag is what people ask about.
func TestEveryFlagIsExplainedAndHasTheDefaultThatTheManifestsRelyOn(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	flags := newManager().Flags()
	for name, want := range map[string]string{
		"kubeconfig": "", "namespace": "strongroom-system", "region": "us-east-1", "leader-elect": "true",
		"metrics-bind-address": ":8443", "metrics-insecure": "false", "health-probe-bind-address": ":8081",
		"root": "core-secret", "root-grace-period": "0s", "concurrency": "8", "gateway-source-share": "25", "graceful-shutdown-timeout": "30s", "log-level": "info", "log-format": "json",
	} {
		f := flags.Lookup(name)
		if f == nil {
			t.Errorf("--%s is gone", name)
			continue
		}
		if f.DefValue != want || len(f.Usage) < 10 {
			t.Errorf("--%s has the default %q and says %q", name, f.DefValue, f.Usage)
		}
	}
	help := strongroom(t, "manager", "--help").stdout
	for line := range strings.Lines(help) {
		if strings.HasPrefix(strings.TrimSpace(line), "--") && !strings.Contains(line, "  ") {
			t.Errorf("no explanation in %q", line)
		}
	}
	if strings.Contains(help, "zap") || strings.Contains(help, "klog") {
		t.Error("flags of a library show through")
	}
}

// A flag given twice, and after a command's name, with = or without: as in every other program.
func TestFlagsAreReadInEverySpelling(t *testing.T) {
	for _, args := range [][]string{
		{"--log-level=loud"}, {"--log-level", "loud"}, {"--log-level=info", "--log-level=loud"}, {"--concurrency=4", "--log-level", "loud", "--region=x"},
	} {
		if got := strongroom(t, append([]string{"manager"}, args...)...); got.code != 1 || !strings.Contains(got.stderr, `--log-level is "loud"`) {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestTheNamespaceOfTheEnvironmentIsTheDefaultAndAFlagIsOverIt(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "vault")
	c := newManager()
	if got := c.Flags().Lookup("namespace").DefValue; got != "vault" {
		t.Errorf("%q", got)
	}
	if err := c.ParseFlags([]string{"--namespace=other"}); err != nil || c.Flags().Lookup("namespace").Value.String() != "other" {
		t.Errorf("%v, %s", err, c.Flags().Lookup("namespace").Value)
	}
}

// unreachable writes a kubeconfig of an API server that nobody is.
func unreachable(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],` +
		`"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],"users":[{"name":"u","user":{"token":"CANARY-token"}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnAPIServerThatIsNotThereIsAnErrorWithItsAddressAndWithoutTheToken(t *testing.T) {
	got := strongroom(t, "manager", "--kubeconfig", unreachable(t), "--metrics-bind-address=0", "--gateway-bind-address=0", "--health-probe-bind-address=0", "--leader-elect=false")
	if got.code != 1 || !strings.Contains(got.stderr, "127.0.0.1:1") || strings.Contains(got.stderr, "CANARY") {
		t.Errorf("%+v", got)
	}
}

func TestTheClientSaysWhoItIsAndDoesNotLimitItself(t *testing.T) {
	f := managerFlags{kubeconfig: unreachable(t)}
	cfg, err := f.restConfig()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.UserAgent != "strongroom/"+Version || cfg.QPS >= 0 || cfg.BearerToken != "CANARY-token" || cfg.Host != "https://127.0.0.1:1" {
		t.Errorf("%s, %f, %s", cfg.UserAgent, cfg.QPS, cfg.Host)
	}
}

// logLines are what a process with these flags logs: by this project's own logger, by client-go's, and an error with a value.
func logLines(t *testing.T, level, format string) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{asLogger + "=1", "LEVEL=" + level, "FORMAT=" + format, "GOCOVERDIR=" + t.TempDir()}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || out.Len() > 0 {
		t.Fatalf("%v: %s%s", err, out.String(), errs.String())
	}
	return strings.Split(strings.TrimSpace(errs.String()), "\n")
}

// logEverything is that process.
func logEverything() {
	f := managerFlags{logLevel: os.Getenv("LEVEL"), logFormat: os.Getenv("FORMAT")}
	if err := f.logging(); err != nil {
		panic(err)
	}
	ctrl.Log.V(1).Info("detail")
	ctrl.Log.Info("news", "key", "a value\nof two lines")
	ctrl.Log.Error(errors.New("cause"), "trouble")
	klog.Info("from a library")
}

func TestLogsAreJSONOrTextAndAsDetailedAsAsked(t *testing.T) {
	all := map[string]string{"detail": "DEBUG+3", "news": "INFO", "trouble": "ERROR", "from a library": "INFO"}
	for level, messages := range map[string][]string{
		"debug": {"detail", "news", "trouble", "from a library"}, "info": {"news", "trouble", "from a library"}, "warn": {"trouble"}, "error": {"trouble"},
	} {
		for i, line := range checkCount(t, logLines(t, level, "json"), len(messages)) {
			var entry struct {
				Time                 time.Time
				Level, Msg, Err, Key string
			}
			if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Msg != messages[i] || entry.Level != all[entry.Msg] || entry.Time.IsZero() {
				t.Errorf("%s as JSON: %q, %v", level, line, err)
			}
			if entry.Msg == "news" && entry.Key != "a value\nof two lines" || entry.Msg == "trouble" && entry.Err != "cause" {
				t.Errorf("%s as JSON: %+v", level, entry)
			}
		}
		for i, line := range checkCount(t, logLines(t, level, "text"), len(messages)) {
			if !regexp.MustCompile(`^time=\S+ level=` + regexp.QuoteMeta(all[messages[i]]) + ` msg=("` + messages[i] + `"|` + messages[i] + `)`).MatchString(line) {
				t.Errorf("%s as text: %q", level, line)
			}
		}
	}
}

func checkCount(t *testing.T, lines []string, want int) []string {
	t.Helper()
	if len(lines) != want {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), want, strings.Join(lines, "\n"))
	}
	return lines
}
