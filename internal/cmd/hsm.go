package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/child"
	"strongroom.dev/strongroom/internal/core/hsm/module"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/hsm/node"
)

// hsmModule is the hidden subcommand that the node starts itself with.
const hsmModule = "hsm-module"

// The PINs' environment variables, which the child process does not get.
const (
	pinVariable   = "STRONGROOM_HSM_PIN"
	soPINVariable = "STRONGROOM_HSM_SO_PIN"
)

type hsmFlags struct {
	node.Options
	pinFile, soPINFile        string
	certificate, key, ca      string
	bindAddress, probeAddress string
	logLevel                  string
}

func newHSM() *cobra.Command {
	var f hsmFlags
	cmd := &cobra.Command{
		Use:   "hsm",
		Short: "Run a node of an HSM cluster",
		Long: "Run a node of an HSM cluster: a token of a PKCS#11 module, served over gRPC to whoever has a certificate of the cluster.\n\n" +
			"PINs are given by files, or by " + pinVariable + " and " + soPINVariable + ", and never on the command line.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Cluster, "cluster", "", "name of the HSM cluster, which is in the certificates of its nodes and operators")
	flags.StringVar(&f.Library, "library", "/usr/lib/softhsm/libsofthsm2.so", "the PKCS#11 library")
	flags.StringVar(&f.TokenLabel, "token-label", "strongroom", "label of the token, at most 32 bytes")
	flags.StringVar(&f.OAEPHash, "oaep-hash", "SHA_1", "hash of RSA-OAEP when a domain key is cloned: SHA_1, or SHA_256 where the module can; the same for all nodes")
	flags.IntVar(&f.Sessions, "sessions", 8, "number of operations that the module works on at once, 1 to 64")
	flags.IntVar(&f.MaxCachedKeys, "max-cached-keys", 256, "number of users' keys that stay unwrapped in the module")
	flags.StringVar(&f.pinFile, "pin-file", "", "file with the user's PIN")
	flags.StringVar(&f.soPINFile, "so-pin-file", "", "file with the security officer's PIN; without it the node neither initialises nor clones")
	flags.BoolVar(&f.SharedToken, "shared-token", false, "other nodes have the same token, which is set up by the vendor's tools: log in when an operator says so and not before, so that nodes try a PIN one after the other")
	flags.StringVar(&f.StateDir, "state-dir", "", "directory that keeps which PINs the token refused; it must outlive the process")
	flags.StringVar(&f.certificate, "tls-cert-file", "", "certificate of the node, in PEM")
	flags.StringVar(&f.key, "tls-key-file", "", "its private key, in PEM")
	flags.StringVar(&f.ca, "tls-ca-file", "", "authorities of the cluster's certificates, in PEM")
	flags.StringVar(&f.bindAddress, "bind-address", ":8445", "address that serves the node's API")
	flags.StringVar(&f.probeAddress, "health-probe-bind-address", ":8081", "address that serves /healthz and /readyz; 0 serves none")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

func (f *hsmFlags) run(ctx context.Context) error {
	if !module.Supported {
		return hsm.ErrNoPKCS11
	}
	level, ok := levels[f.logLevel]
	if !ok {
		return fmt.Errorf("--log-level is %q: give debug, info, warn or error", f.logLevel)
	}
	f.Logger = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if err := f.complete(); err != nil {
		return err
	}
	n, err := node.New(f.Options)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.bindAddress)
	if err != nil {
		return fmt.Errorf("--bind-address: %w", err)
	}
	defer listener.Close()
	probes, err := serveProbes(ctx, f.probeAddress, n.Ready)
	if err != nil {
		return err
	}
	defer probes()
	// The module outlives the server, so that requests in flight come to their end.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() { defer close(ended); n.Run(running) }()
	f.Logger.Info("serving", "address", listener.Addr().String(), "cluster", f.Cluster, "library", f.Library)
	err = n.Serve(ctx, listener)
	stop()
	<-ended
	return err
}

// complete makes the options that are not flags, and says which flag is missing.
func (f *hsmFlags) complete() error {
	for flag, value := range map[string]string{
		"--cluster": f.Cluster, "--state-dir": f.StateDir, "--tls-cert-file": f.certificate, "--tls-key-file": f.key, "--tls-ca-file": f.ca,
	} {
		if value == "" {
			return fmt.Errorf("%s is missing", flag)
		}
	}
	f.PIN, f.SOPIN = pinOf(f.pinFile, pinVariable), pinOf(f.soPINFile, soPINVariable)
	if f.PIN == nil {
		return fmt.Errorf("--pin-file is missing, and so is %s", pinVariable)
	}
	f.TLS = mtls.Files(f.certificate, f.key, f.ca)
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	f.Command = func() *exec.Cmd {
		cmd := exec.Command(program, hsmModule)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // what a vendor's library prints
		return cmd
	}
	return nil
}

func pinOf(file, variable string) node.PIN {
	if file != "" {
		return node.FilePIN(file)
	}
	if os.Getenv(variable) != "" {
		return node.EnvironmentPIN(variable)
	}
	return nil
}

// serveProbes answers whether the process lives and whether the node serves, until the function that it returns is called.
func serveProbes(ctx context.Context, address string, ready func(context.Context) error) (stop func(), err error) {
	if address == "0" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--health-probe-bind-address: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }() // it ends by Close
	return func() { _ = server.Close(); <-ended }, nil
}

// newHSMModule is the process that loads the module. It talks to its parent by file descriptor 3.
func newHSMModule() *cobra.Command {
	return &cobra.Command{
		Use: hsmModule, Hidden: true, Args: cobra.NoArgs,
		Short: "Load a PKCS#11 module for strongroom hsm",
		RunE: func(*cobra.Command, []string) error {
			handlers, err := module.Handlers()
			if err != nil {
				return err
			}
			parent, err := child.Socket()
			if err != nil {
				return err
			}
			return errors.Join(child.Serve(parent, handlers), parent.Close())
		},
	}
}
