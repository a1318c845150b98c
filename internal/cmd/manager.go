package cmd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/internal/gateway/admission"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/pacer"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/unseal"
)

// regionSyntax is that of AWS's regions; an ARN is cut at colons, so nothing else may be in one.
var regionSyntax = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`)

type managerFlags struct {
	operator.Options
	kubeconfig string
	authority  string
	logLevel   string
	logFormat  string
}

func newManager() *cobra.Command { return newManagerOf(&managerFlags{}) }

// newManagerOf makes the command that reads its flags into f.
func newManagerOf(f *managerFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "manager",
		Short: "Run the controllers",
		Long: "Run the controllers that reconcile Strongroom's kinds.\n\nOf several replicas with leader election one works; " +
			"the others are ready to take over.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; in a pod, the service account is used when it is left out")
	flags.StringVar(&f.Namespace, "namespace", ownNamespace(), "Strongroom's own namespace")
	flags.StringVar(&f.Region, "region", "us-east-1", "home region: that of objects that name none")
	flags.StringSliceVar(&f.Regions, "regions", nil, "regions that the AWS APIs are served for, besides the home region")
	flags.StringVar(&f.GatewayBindAddress, "gateway-bind-address", ":8444", "address that serves the AWS APIs; 0 serves none")
	flags.StringSliceVar(&f.GatewayNames, "gateway-names", nil,
		"DNS names and IP addresses in the gateway's certificate, besides those of its Service and of loopback")
	flags.StringVar(&f.authority, "gateway-authority", "",
		"NAMESPACE/NAME of the CertificateAuthority that issues the gateway's certificate; one of the gateway's own when it is left out")
	flags.IntVar(&f.GatewaySourceShare, "gateway-source-share", admission.DefaultShare,
		"percentage of the connections and of the memory before authentication that one source address may have; "+
			"100 behind a load balancer that hides its clients' addresses")
	flags.StringVar(&f.AuditLog, "audit-log", "-", "file that a record of each request to the AWS APIs is appended to; - is standard output")
	flags.BoolVar(&f.LeaderElection, "leader-elect", true, "let one replica of several run the controllers")
	flags.StringVar(&f.MetricsBindAddress, "metrics-bind-address", ":8443", "address that serves /metrics; 0 serves none")
	flags.BoolVar(&f.MetricsInsecure, "metrics-insecure", false, "serve metrics over HTTP without authentication")
	flags.StringVar(&f.HealthProbeBindAddress, "health-probe-bind-address", ":8081",
		"address that serves /healthz and /readyz; 0 serves none")
	flags.StringVar(&f.PprofBindAddress, "pprof-bind-address", "0", "loopback address that serves Go's profiles, without authentication; 0 serves none")
	flags.StringVar(&f.HSMImage, "hsm-image", "", "image of the nodes of HSMClusters, made by Dockerfile.hsm; they run as StatefulSets in Strongroom's own namespace")
	flags.StringVar(&f.HSMStorageClass, "hsm-storage-class", "", "storage class of the volumes with their tokens; the cluster's default one when it is left out")
	flags.StringSliceVar(&f.HSMLibraries, "hsm-libraries", hsmnodes.DefaultLibraries,
		"PKCS#11 libraries that HSMClusters may name, by their whole paths in the nodes' image or on this machine: PATH for those of Strongroom's own namespace, "+
			"and PATH=TOKEN-LABEL@NAMESPACE to let another use a token")
	flags.StringVar(&f.HSMLocalDirectory, "hsm-local-directory", "",
		"directory with the tokens of HSM nodes that run as processes of this machine, to try them out; for one manager alone, built with cgo")
	flags.IntVar(&f.CloudHSMQuotas.Clusters, "cloudhsm-clusters-quota", cloudhsm.DefaultClusters, "number of HSMClusters that a namespace may have before the CloudHSM API makes no more")
	flags.IntVar(&f.CloudHSMQuotas.HSMs, "cloudhsm-hsms-quota", cloudhsm.DefaultHSMs, "number of HSMs in all HSMClusters of a namespace before the CloudHSM API makes no more")
	flags.StringVar(&f.Root, "root", unseal.CoreSecretSyntax,
		"root of trust of a new installation: core-secret (strongroom-root), or hsm:NAMESPACE/NAME of an HSMCluster; that of an installation cannot be changed")
	flags.BoolVar(&f.SQLServerRotation, "sqlserver-rotation", false,
		"Let Secrets rotate credentials of SQL Server. Its driver trusts servers with this process's memory: only where all who may write Secrets are trusted.")
	flags.DurationVar(&f.RootGracePeriod, "root-grace-period", 0,
		"for how long this manager goes on when an HSMCluster that is the root of trust was last reached, at least 1m; then it seals itself. 0 is for as long as it runs")
	flags.IntVar(&f.Concurrency, "concurrency", 8, "number of objects of a kind that are reconciled at once, of one namespace all but one at most")
	flags.DurationVar(&f.GracefulShutdownTimeout, "graceful-shutdown-timeout", 30*time.Second, "how long running passes may take to end")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", "json", "json or text")
	return cmd
}

func (f *managerFlags) run(cmd *cobra.Command) error {
	if err := f.logging(); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" { // which whoever sets it knows better
		defer pacer.Start()()
	}
	cfg, err := f.restConfig()
	if err != nil {
		return err
	}
	op, err := operator.New(cfg, f.Options)
	if err != nil {
		return err
	}
	if err := op.Start(cmd.Context()); err != nil {
		return fmt.Errorf("running the manager: %w", err)
	}
	return nil
}

// check says which flag cannot be, and what it can.
func (f *managerFlags) check() error {
	if f.Namespace == "" {
		return errors.New("--namespace is empty: name Strongroom's own namespace")
	}
	if !regionSyntax.MatchString(f.Region) {
		return fmt.Errorf("--region is %q: give one such as us-east-1", f.Region)
	}
	for _, region := range f.Regions {
		if !regionSyntax.MatchString(region) {
			return fmt.Errorf("--regions has %q: give such as us-east-1,eu-west-1", region)
		}
	}
	if host, _, err := net.SplitHostPort(f.PprofBindAddress); f.PprofBindAddress != "0" && (err != nil || !isLoopback(host)) {
		return fmt.Errorf("--pprof-bind-address is %q: give one on loopback, such as 127.0.0.1:6060, or 0", f.PprofBindAddress)
	}
	if f.HSMImage != "" && f.HSMLocalDirectory != "" {
		return errors.New("--hsm-image and --hsm-local-directory are given: HSM nodes run as pods or as processes, so give one of them")
	}
	if _, err := hsmnodes.ParseLibraries(f.HSMLibraries, f.Namespace); err != nil {
		return err
	}
	return errors.Join(f.checkAuthority(), f.checkRoot(), f.checkNumbers())
}

// checkAuthority reads the name of the gateway's authority.
func (f *managerFlags) checkAuthority() error {
	if f.authority == "" {
		return nil
	}
	namespace, name, _ := strings.Cut(f.authority, "/")
	if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return fmt.Errorf("--gateway-authority is %q: give NAMESPACE/NAME of a CertificateAuthority", f.authority)
	}
	f.GatewayAuthority = types.NamespacedName{Namespace: namespace, Name: name}
	return nil
}

func (f *managerFlags) checkRoot() error {
	if f.Root != unseal.CoreSecretSyntax {
		if _, err := cloudhsm.ParseRoot(f.Root); err != nil {
			return fmt.Errorf("--root is %q: give %s, or hsm:NAMESPACE/NAME of an HSMCluster", f.Root, unseal.CoreSecretSyntax)
		}
	}
	if f.RootGracePeriod != 0 && f.RootGracePeriod < time.Minute {
		return fmt.Errorf("--root-grace-period is %s: give at least 1m, or 0", f.RootGracePeriod)
	}
	return nil
}

func (f *managerFlags) checkNumbers() error {
	if f.Concurrency < 1 || f.Concurrency > 1024 {
		return fmt.Errorf("--concurrency is %d: give 1 to 1024", f.Concurrency)
	}
	if f.GatewaySourceShare < 5 || f.GatewaySourceShare > 100 {
		return fmt.Errorf("--gateway-source-share is %d: give 5 to 100", f.GatewaySourceShare)
	}
	for flag, quota := range map[string]int{"--cloudhsm-clusters-quota": f.CloudHSMQuotas.Clusters, "--cloudhsm-hsms-quota": f.CloudHSMQuotas.HSMs} {
		if quota < 1 || quota > 1000 {
			return fmt.Errorf("%s is %d: give 1 to 1000", flag, quota)
		}
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (f *managerFlags) restConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster; give --kubeconfig, or run in a pod: %w", err)
	}
	cfg.UserAgent = "strongroom/" + Version
	cfg.DisableCompression = true // spares both sides the packing of the first lists
	cfg.QPS = -1                  // the API server's priority and fairness limits requests, and knows better
	return cfg, nil
}

// levels are all there are: from the fourth below debug on, Kubernetes' client logs the bodies of requests, secrets included.
var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

func (f *managerFlags) logging() error {
	level, ok := levels[f.logLevel]
	if !ok {
		return fmt.Errorf("--log-level is %q: give debug, info, warn or error", f.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler
	switch f.logFormat {
	case "json":
		handler = slog.NewJSONHandler(os.Stderr, options)
	case "text":
		handler = slog.NewTextHandler(os.Stderr, options)
	default:
		return fmt.Errorf("--log-format is %q: give json or text", f.logFormat)
	}
	logger := logr.FromSlogHandler(handler)
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	return nil
}

// ownNamespace is the namespace of the pod, or the usual one.
func ownNamespace() string {
	if ns := os.Getenv("POD_NAMESPACE"); ns != "" {
		return ns
	}
	if b, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace"); err == nil {
		return strings.TrimSpace(string(b))
	}
	return "strongroom-system"
}
