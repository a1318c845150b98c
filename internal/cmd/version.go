package cmd

import (
	"crypto/fips140"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version is set by the linker for releases.
var Version = "development"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the Go release and the cryptographic module",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			goVersion := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				goVersion = info.GoVersion
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "strongroom %s\ngo %s\nfips140 module %s, enabled %t\n",
				Version, goVersion, fips140.Version(), fips140.Enabled())
			return err
		},
	}
}
