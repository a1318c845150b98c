package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"strongroom.dev/strongroom/internal/loopback"
)

const namespace = "strongroom-system"

// kubectl runs kubectl.
type kubectl struct{ path, kubeconfig string }

func (k *kubectl) run(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, k.path, args...)
	if k.kubeconfig != "" {
		cmd.Env = append(os.Environ(), "KUBECONFIG="+k.kubeconfig)
	}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", shown(args), err, bytes.TrimSpace(errs.Bytes()))
	}
	return strings.TrimSpace(out.String()), nil
}

// shown are kubectl's arguments for an error, without a token.
func shown(args []string) string {
	const token = "--token="
	out := slices.Clone(args)
	for i := range out {
		if strings.HasPrefix(out[i], token) {
			out[i] = token + "..."
		}
	}
	return strings.Join(out, " ")
}

// install applies the CRDs and the manager's service account and rights.
func install(ctx context.Context, k *kubectl, o options) error {
	say("applying the CRDs and the manager's rights ...")
	manifest := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", namespace)
	if _, err := k.run(ctx, manifest, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		return err
	}
	folders := []string{"crd", "rbac"}
	if o.cluster == "" { // the user's own may be older than the admission policies
		folders = append(folders, "injection")
	}
	for _, folder := range folders {
		_, err := k.run(ctx, "", "apply", "--server-side", "--force-conflicts", "-k", filepath.Join(o.tree, "config", folder))
		if err != nil {
			return err
		}
	}
	_, err := k.run(ctx, "", "wait", "--for=condition=Established", "--timeout=30s",
		"crd/secrets.strongroom.dev", "crd/kmskeys.strongroom.dev", "crd/kmsgrants.strongroom.dev", "crd/keyrings.strongroom.dev", "crd/envelopes.strongroom.dev", "crd/hsmclusters.strongroom.dev", "crd/certificates.strongroom.dev", "crd/certificateauthorities.strongroom.dev", "crd/parameters.strongroom.dev", "crd/parametertrees.strongroom.dev",
		"crd/iamusers.strongroom.dev", "crd/iamroles.strongroom.dev", "crd/iamgroups.strongroom.dev", "crd/iampolicies.strongroom.dev")
	return err
}

// startManager runs the manager as its own service account, so that a right it lacks shows here and not in production.
func startManager(ctx context.Context, g *group, k *kubectl, o options, gateway string) error {
	config, err := k.run(ctx, "", "config", "view", "--raw", "--minify", "--flatten")
	if err != nil {
		return err
	}
	admin := filepath.Join(o.dataDir, "manager.kubeconfig")
	if err := os.WriteFile(admin, []byte(config), 0o600); err != nil {
		return err
	}
	token, err := k.run(ctx, "", "create", "token", "strongroom-manager", "-n", namespace, "--duration=720h")
	if err != nil {
		return err
	}
	own := &kubectl{path: k.path, kubeconfig: admin}
	for _, args := range [][]string{
		{"config", "set-credentials", "strongroom-manager", "--token=" + token},
		{"config", "set-context", "--current", "--user=strongroom-manager"},
	} {
		if _, err := own.run(ctx, "", args...); err != nil {
			return fmt.Errorf("writing the manager's kubeconfig: %w", err)
		}
	}
	if o.manager == "" {
		return nil
	}
	health, err := loopback.FreePort()
	if err != nil {
		return err
	}
	metrics, err := loopback.FreePort()
	if err != nil {
		return err
	}
	root, err := rootOfTrust(ctx, k, o)
	if err != nil {
		return err
	}
	say("starting strongroom as service account %s/strongroom-manager ...", namespace)
	err = g.start("strongroom", o.manager, "manager", "--kubeconfig", admin, "--namespace", namespace,
		"--gateway-bind-address="+gateway, "--regions="+o.regions, "--gateway-authority="+o.authority, "--audit-log="+filepath.Join(o.dataDir, "logs", "audit.log"),
		"--hsm-local-directory="+filepath.Join(o.dataDir, "hsm"), "--root="+root,
		fmt.Sprintf("--health-probe-bind-address=127.0.0.1:%d", health),
		fmt.Sprintf("--metrics-bind-address=127.0.0.1:%d", metrics))
	if err != nil {
		return err
	}
	return waitManager(ctx, g, fmt.Sprintf("http://127.0.0.1:%d/readyz", health))
}

func waitManager(ctx context.Context, g *group, url string) error {
	client := &http.Client{Timeout: time.Second}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-g.failed:
			return err
		case <-time.After(100 * time.Millisecond):
		}
		if response, err := client.Get(url); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	return fmt.Errorf("strongroom is not ready after a minute; the end of its log:\n%s", tail(filepath.Join(g.logs, "strongroom.log")))
}
