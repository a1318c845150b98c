// Strongroom gives a Kubernetes cluster what AWS gives an account to keep secrets. See README.md.
package main

import (
	"os"

	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/internal/cmd"
)

func main() {
	os.Exit(cmd.Execute(ctrl.SetupSignalHandler()))
}
