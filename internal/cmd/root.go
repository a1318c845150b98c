// Package cmd is the command line: one binary, a subcommand a task.
package cmd

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"strongroom.dev/strongroom/internal/plugin"
)

// Execute runs the command line and returns the exit code, of those that package plugin names.
func Execute(ctx context.Context) int {
	root := &cobra.Command{
		Use:           "strongroom",
		Short:         "Secrets, keys and certificates for Kubernetes, as AWS has them",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newManager(), newHSM(), newHSMModule(), newVersion())
	root.AddCommand(plugin.Commands()...)
	plugin.As(root, os.Args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "strongroom:", err)
		return plugin.ExitCode(err)
	}
	return 0
}
