package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"strongroom.dev/strongroom/internal/loopback"
)

// cluster is a control plane on loopback: etcd, kube-apiserver and kube-controller-manager.
type cluster struct {
	o     options
	pki   *pki
	Ports ports
}

type ports struct{ Etcd, EtcdPeer, APIServer int }

// newCluster makes the certificates and chooses ports, or takes those of the last time, so that kubeconfigs stay valid.
func newCluster(o options) (*cluster, error) {
	c := &cluster{o: o}
	var err error
	if c.pki, err = newPKI(filepath.Join(o.dataDir, "pki")); err != nil {
		return nil, err
	}
	for _, issue := range []func() error{
		func() error { return c.pki.server("apiserver") },
		func() error { return c.pki.server("etcd") },
		func() error { return c.pki.client("etcd-client", "kube-apiserver") },
		func() error { return c.pki.client("admin", "admin", "system:masters") },
		func() error { return c.pki.client("controller-manager", "system:kube-controller-manager") },
		func() error { return c.pki.client("service-account", "service-account") }, // its key alone is used
		c.choosePorts,
		func() error { return c.kubeconfig("admin") },
		func() error { return c.kubeconfig("controller-manager") },
	} {
		if err := issue(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cluster) choosePorts() error {
	file := filepath.Join(c.o.dataDir, "ports.json")
	b, err := os.ReadFile(file)
	if err == nil {
		if err := json.Unmarshal(b, &c.Ports); err != nil {
			return err
		}
		return c.Ports.free()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, p := range []*int{&c.Ports.Etcd, &c.Ports.EtcdPeer, &c.Ports.APIServer} {
		if *p, err = loopback.FreePort(); err != nil {
			return err
		}
	}
	if b, err = json.Marshal(c.Ports); err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

// free says whether the ports of the last time are still to be had.
func (p ports) free() error {
	for _, port := range []int{p.Etcd, p.EtcdPeer, p.APIServer} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return fmt.Errorf("port %d, which kubeconfigs name, is taken by another program: end that, or forget the data "+
				"(make clean-run): %w", port, err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) server() string          { return fmt.Sprintf("https://127.0.0.1:%d", c.Ports.APIServer) }
func (c *cluster) adminKubeconfig() string { return filepath.Join(c.o.dataDir, "admin.kubeconfig") }

func (c *cluster) kubeconfig(user string) error {
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: user, user: {client-certificate: %q, client-key: %q}}]
contexts: [{name: strongroom, context: {cluster: local, user: user}}]
current-context: strongroom
`, c.server(), c.pki.path("ca.crt"), c.pki.path(user+".crt"), c.pki.path(user+".key"))
	return os.WriteFile(filepath.Join(c.o.dataDir, user+".kubeconfig"), []byte(text), 0o600)
}

func (c *cluster) start(ctx context.Context, g *group) error {
	say("starting etcd, kube-apiserver and kube-controller-manager ...")
	begin := time.Now()
	for _, start := range []func(*group) error{c.startEtcd, c.startAPIServer} {
		if err := start(g); err != nil {
			return err
		}
	}
	if err := c.waitReady(ctx, g); err != nil {
		return err
	}
	if err := c.startControllerManager(g); err != nil {
		return err
	}
	say("the control plane is ready after %.1f s", time.Since(begin).Seconds())
	return nil
}

func (c *cluster) startEtcd(g *group) error {
	client, peer := fmt.Sprintf("https://127.0.0.1:%d", c.Ports.Etcd), fmt.Sprintf("http://127.0.0.1:%d", c.Ports.EtcdPeer)
	return g.start("etcd", filepath.Join(c.o.bin, "etcd"),
		"--data-dir="+filepath.Join(c.o.dataDir, "etcd"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer,
		"--client-cert-auth", "--trusted-ca-file="+c.pki.path("ca.crt"),
		"--cert-file="+c.pki.path("etcd.crt"), "--key-file="+c.pki.path("etcd.key"))
}

func (c *cluster) startAPIServer(g *group) error {
	args := []string{
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", c.Ports.Etcd),
		"--etcd-cafile=" + c.pki.path("ca.crt"),
		"--etcd-certfile=" + c.pki.path("etcd-client.crt"), "--etcd-keyfile=" + c.pki.path("etcd-client.key"),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.Ports.APIServer),
		"--endpoint-reconciler-type=none", // a loopback address cannot back the Service kubernetes
		"--tls-cert-file=" + c.pki.path("apiserver.crt"), "--tls-private-key-file=" + c.pki.path("apiserver.key"),
		"--client-ca-file=" + c.pki.path("ca.crt"),
		"--authorization-mode=Node,RBAC", "--external-hostname=localhost",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.pki.path("service-account.crt"),
		"--service-account-signing-key-file=" + c.pki.path("service-account.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
	}
	if c.o.audit {
		policy := filepath.Join(c.o.dataDir, "audit-policy.yaml")
		text := "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
		if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
			return err
		}
		args = append(args, "--audit-policy-file="+policy, "--audit-log-path="+filepath.Join(g.logs, "audit.log"))
	}
	return g.start("kube-apiserver", filepath.Join(c.o.bin, "kube-apiserver"), args...)
}

func (c *cluster) startControllerManager(g *group) error {
	return g.start("kube-controller-manager", filepath.Join(c.o.bin, "kube-controller-manager"),
		"--kubeconfig="+filepath.Join(c.o.dataDir, "controller-manager.kubeconfig"),
		"--service-account-private-key-file="+c.pki.path("service-account.key"),
		"--root-ca-file="+c.pki.path("ca.crt"),
		"--use-service-account-credentials", "--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0")
}

// waitReady waits for /readyz and says every five seconds that it does.
func (c *cluster) waitReady(ctx context.Context, g *group) error {
	pair, err := tls.LoadX509KeyPair(c.pki.path("admin.crt"), c.pki.path("admin.key"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AddCert(c.pki.cert)
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13},
	}}
	defer client.CloseIdleConnections()
	deadline, told := time.Now().Add(2*time.Minute), time.Now()
	for time.Now().Before(deadline) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-g.failed:
			return err
		case <-time.After(200 * time.Millisecond):
		}
		if response, err := client.Get(c.server() + "/readyz"); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			say("waiting for kube-apiserver ...")
		}
	}
	return fmt.Errorf("kube-apiserver is not ready after 2 minutes; see %s", filepath.Join(g.logs, "kube-apiserver.log"))
}
