// Run starts a local Kubernetes control plane and Strongroom on it, in the foreground, for `make run`, and for tests
// that need more than envtest: real service accounts, garbage collection, restarts.
//
// All of it is on loopback and in one folder (--data-dir), which the next start goes on with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

type options struct {
	bin, manager, dataDir, tree, cluster, regions, authority, root string
	audit                                                          bool
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", os.Getenv("KUBEBUILDER_ASSETS"), "folder with etcd, kube-apiserver, kube-controller-manager and kubectl")
	flag.StringVar(&o.manager, "manager", "", "strongroom binary; without it the control plane runs alone")
	flag.StringVar(&o.dataDir, "data-dir", ".strongroom", "folder for data, certificates and logs")
	flag.StringVar(&o.tree, "tree", ".", "the project's folder, for CRDs and RBAC")
	flag.StringVar(&o.cluster, "cluster", "", "\"current\" runs Strongroom against the current kubeconfig context instead")
	flag.StringVar(&o.regions, "regions", "", "regions that the AWS APIs are served for besides us-east-1, with commas between")
	flag.StringVar(&o.authority, "gateway-authority", "", "NAMESPACE/NAME of the CertificateAuthority that issues the gateway's certificate")
	flag.StringVar(&o.root, "root", "", "\"hsm\" makes HSMCluster strongroom-system/root the root of trust of a new installation; a core Secret is when it is left out")
	flag.BoolVar(&o.audit, "audit", false, "write the API server's audit log, metadata only, to the folder of logs")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Printf("[strongroom] "+format+"\n", args...) }

func run(ctx context.Context, o options) error {
	if err := o.prepare(); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(o.dataDir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	_ = os.Remove(filepath.Join(o.dataDir, "ready"))

	group := newGroup(filepath.Join(o.dataDir, "logs"))
	defer group.stop()
	kubeconfig := os.Getenv("KUBECONFIG")
	if o.cluster == "" {
		c, err := newCluster(o)
		if err != nil {
			return err
		}
		if err := c.start(ctx, group); err != nil {
			return err
		}
		kubeconfig = c.adminKubeconfig()
	}
	k := &kubectl{path: filepath.Join(o.bin, "kubectl"), kubeconfig: kubeconfig}
	if err := install(ctx, k, o); err != nil {
		return err
	}
	if err := startStrongroom(ctx, group, k, o, kubeconfig); err != nil {
		return err
	}
	next(o)
	if err := os.WriteFile(filepath.Join(o.dataDir, "ready"), nil, 0o600); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		say("stopping; the data stays in %s (make clean-run forgets it)", o.dataDir)
		return nil
	case err := <-group.failed:
		return err
	}
}

// startStrongroom starts the manager, and writes what another shell needs. On the user's own cluster nobody is made an
// administrator.
func startStrongroom(ctx context.Context, g *group, k *kubectl, o options, kubeconfig string) error {
	address, err := gatewayAddress(o)
	if err != nil {
		return err
	}
	if err := startManager(ctx, g, k, o, address); err != nil {
		return err
	}
	aws := ""
	if o.manager != "" && o.cluster == "" {
		if aws, err = access(ctx, k, o, address); err != nil {
			return err
		}
		if o.authority != "" {
			go followBundle(ctx, k, o)
		}
	}
	return writeEnv(o, kubeconfig, aws)
}

func (o *options) prepare() error {
	if o.bin == "" {
		return errors.New("--bin is not set: run it by `make run`, which builds the control plane")
	}
	if o.cluster != "" && o.cluster != "current" {
		return fmt.Errorf("--cluster is %q: leave it out, or say current", o.cluster)
	}
	if o.root != "" && o.root != "hsm" {
		return fmt.Errorf("--root is %q: leave it out, or say hsm", o.root)
	}
	programs := []string{"kubectl"}
	if o.cluster == "" {
		programs = append(programs, "etcd", "kube-apiserver", "kube-controller-manager")
	}
	for _, program := range programs {
		if _, err := os.Stat(filepath.Join(o.bin, program)); err != nil {
			return fmt.Errorf("there is no %s in %s: unset KUBEBUILDER_ASSETS to have it built, or name a folder that has it", program, o.bin)
		}
	}
	var err error
	if o.dataDir, err = filepath.Abs(o.dataDir); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(o.dataDir, "logs"), 0o700)
}

// lock makes sure that one instance uses the folder. The lock goes with the process.
func lock(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another instance runs on %s: stop it first (Ctrl-C in its terminal)", filepath.Dir(path))
	}
	return func() { _ = f.Close() }, nil
}

func writeEnv(o options, kubeconfig, aws string) error {
	path := strconv.Quote(o.bin)
	if manager, err := filepath.Abs(o.manager); err == nil && o.manager != "" { // with kubectl's plugin beside it
		path = strconv.Quote(filepath.Dir(manager)) + ":" + path
	}
	text := fmt.Sprintf("# for `. %s` in another shell\nexport PATH=%s:\"$PATH\"\n", filepath.Join(o.dataDir, "env"), path)
	if kubeconfig != "" {
		text += fmt.Sprintf("export KUBECONFIG=%q\n", kubeconfig)
	}
	return os.WriteFile(filepath.Join(o.dataDir, "env"), []byte(text+aws), 0o600)
}

func next(o options) {
	env := filepath.Join(o.dataDir, "env")
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, env); err == nil {
			env = rel
		}
	}
	fmt.Printf(`
Strongroom is ready (%s). In another shell:

    . %s
    kubectl apply -f config/samples/quickstart.yaml
    kubectl wait --for=condition=Ready -n shop sms/session-key --timeout=30s
    kubectl get strongroom -n shop
    kubectl get secret -n shop session-key -o jsonpath='{.data.keys}' | base64 -d

Logs are in %s. Ctrl-C stops everything.

`, time.Now().Format(time.TimeOnly), env, filepath.Join(o.dataDir, "logs"))
}
