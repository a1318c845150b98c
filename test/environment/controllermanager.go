package environment

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// RunControllerManager runs Kubernetes' own controllers of these names, such as job-controller, until the function that it returns is called.
// There is no kubelet: pods that they make start when a test says so.
func (cp *ControlPlane) RunControllerManager(ctx context.Context, directory string, controllers ...string) (stop func(), err error) {
	user, err := cp.env.AddUser(envtest.User{Name: "kube-controller-manager", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return nil, fmt.Errorf("adding a user: %w", err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		return nil, fmt.Errorf("making a kubeconfig: %w", err)
	}
	file := filepath.Join(directory, "controller-manager.kubeconfig")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("writing a kubeconfig: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	command := exec.CommandContext(ctx, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kube-controller-manager"),
		"--kubeconfig="+file, "--controllers="+strings.Join(controllers, ","), "--leader-elect=false", "--secure-port=0")
	if err := command.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("starting kube-controller-manager: %w", err)
	}
	return func() {
		cancel()
		_ = command.Wait() // it was killed
	}, nil
}
