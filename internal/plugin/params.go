package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/spf13/cobra"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/plugin/paramfile"
)

func newParams() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "params",
		Short: "Import parameters from files into the Parameter Store, and export them",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newParamsImport(), newParamsExport())
	return cmd
}

// storePath is a path of the Parameter Store, without a slash at its end; / is the empty one.
type storePath string

var pathText = regexp.MustCompile(`^(/[a-zA-Z0-9_.-]+)*$`)

func readPath(given string) (storePath, error) {
	if given == "" {
		return "", errors.New("give --path, for example --path /shop/prod")
	}
	path := strings.TrimSuffix(given, "/")
	if !strings.HasPrefix(given, "/") || !pathText.MatchString(path) {
		return "", fmt.Errorf("--path %s: a path begins with a slash and has letters, digits and . _ - between slashes", given)
	}
	return storePath(path), nil
}

// name of a parameter below the path.
func (p storePath) name(rest string) string { return string(p) + "/" + rest }

// below is what a name has behind the path.
func (p storePath) below(name string) string {
	return strings.TrimPrefix("/"+arn.CanonicalParameter(name), string(p)+"/")
}

// readParameters reads a file, or the standard input for a dash. The format is that of the name if none is given.
func readParameters(in io.Reader, file, format string) ([]paramfile.Entry, error) {
	chosen := paramfile.Format(format)
	if format == "" {
		var err error
		if chosen, err = paramfile.FormatOf(file); err != nil {
			return nil, fmt.Errorf("%w: give --format", err)
		}
	}
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }()
		in = opened
	}
	text, err := io.ReadAll(io.LimitReader(in, paramfile.MaximumSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	defer clear(text)
	entries, err := paramfile.Parse(chosen, text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	case len(entries) == 0:
		return nil, missing("%s has no parameter", file)
	}
	return entries, nil
}

// parameters is the SDK's client of Systems Manager, for the gateway alone.
func (f *gatewayFlags) parameters(ctx context.Context) (*ssm.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	config, err := f.config(ctx)
	if err != nil {
		return nil, err
	}
	return ssm.NewFromConfig(config), nil
}
