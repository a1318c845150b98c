// Package plugin has the commands for users: strongroom get, history, rotate, reveal, seal, sealing-key, reseal, params, backup and restore. The program is kubectl's plugin too, under the
// name kubectl-strongroom, and completes for kubectl under the name kubectl_complete-strongroom.
// https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
package plugin

import (
	"path/filepath"

	"github.com/spf13/cobra"
)

// The names under which kubectl finds the program on the PATH.
const (
	nameAsPlugin    = "kubectl-strongroom"
	nameAsCompleter = "kubectl_complete-strongroom"
)

// Commands are those for users, each new.
func Commands() []*cobra.Command {
	return []*cobra.Command{newGet(), newHistory(), newRotate(), newReveal(), newSeal(), newSealingKey(), newReseal(), newParams(), newBackup(), newRestore()}
}

// As makes root what the program is called by: for kubectl-strongroom its usage is that of kubectl strongroom, and kubectl_complete-strongroom completes what
// is typed. arguments are those of the process, its name first.
func As(root *cobra.Command, arguments []string) {
	if len(arguments) == 0 {
		return
	}
	switch filepath.Base(arguments[0]) {
	case nameAsPlugin:
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl strongroom"}
	case nameAsCompleter:
		root.SetArgs(append([]string{cobra.ShellCompRequestCmd}, arguments[1:]...))
	}
}
