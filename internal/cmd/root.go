// Package cmd is the command line: one binary, a subcommand a task.
package cmd

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// Execute runs the command line and returns the exit code.
func Execute(ctx context.Context) int {
	root := &cobra.Command{
		Use:           "strongroom",
		Short:         "Secrets, keys and certificates for Kubernetes, as AWS has them",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newManager(), newHSM(), newHSMModule(), newSeal(), newSealingKey(), newVersion())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "strongroom:", err)
		return 1
	}
	return 0
}
