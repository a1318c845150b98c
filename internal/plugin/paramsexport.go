package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/plugin/paramfile"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// The formats of exports, besides JSON and YAML.
const (
	outputEnv       = "env"
	outputConfigMap = "configmap"
	outputSecret    = "secret"
)

type exportFlags struct {
	gateway   gatewayFlags
	path      string
	decrypt   bool
	skip      bool
	keyFormat string
	name      string
	output    string
}

func newParamsExport() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export --path PATH",
		Short: "Print the parameters below a path as a .env file, JSON, YAML, or a manifest of a ConfigMap or Secret",
		Long: "Print what is below a path of the Parameter Store, of all levels, read through the AWS API (GetParametersByPath): IAM says who may, and the audit log who\n" +
			"did. SecureStrings are left out, but for --with-decryption. In JSON and YAML levels of names are objects; elsewhere the keys are as a ParameterTree makes them.",
		Example: "  strongroom params export --path /shop/prod\n" +
			"  strongroom params export --path /shop/prod -o configmap --name shop-settings | kubectl apply -f -\n" +
			"  strongroom params export --path /shop/prod -o json --with-decryption",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd)
		},
	}
	f.gateway.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.path, "path", "", "path of the Parameter Store, for example /shop/prod")
	flags.BoolVar(&f.decrypt, "with-decryption", false, "print SecureStrings too, decrypted")
	flags.BoolVar(&f.skip, "skip-damaged", false, "if a parameter cannot be read, print the others, and name it; the exit code is 1 all the same")
	flags.StringVar(&f.keyFormat, "key-format", "", "keys of env, configmap and secret: UpperSnake (DB_HOST) or Dotted (db.host); UpperSnake for env and Dotted for others if it is left out")
	flags.StringVar(&f.name, "name", "parameters", "metadata.name of the ConfigMap or Secret")
	complete(cmd, "key-format", string(v1alpha1.KeyUpperSnake), string(v1alpha1.KeyDotted))
	addOutput(cmd, &f.output, outputEnv, outputJSON, outputYAML, outputConfigMap, outputSecret)
	return cmd
}

func (f *exportFlags) run(ctx context.Context, cmd *cobra.Command) error {
	path, err := readPath(f.path)
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return err
	}
	api, err := f.gateway.parameters(ctx)
	if err != nil {
		return err
	}
	found, lost, err := f.read(ctx, api, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	text, err := f.render(path, found)
	if err != nil {
		return err
	}
	defer clear(text)
	if _, err = cmd.OutOrStdout().Write(text); err != nil {
		return err
	}
	return leftOut(lost)
}

func (f *exportFlags) check() error {
	if f.keyFormat != "" && f.keyFormat != string(v1alpha1.KeyUpperSnake) && f.keyFormat != string(v1alpha1.KeyDotted) {
		return fmt.Errorf("--key-format is %q: give %s or %s", f.keyFormat, v1alpha1.KeyUpperSnake, v1alpha1.KeyDotted)
	}
	if f.output == outputConfigMap && f.decrypt {
		return errors.New("a ConfigMap shows no SecureString, since anybody may read it: give -o secret, or leave --with-decryption out")
	}
	return nil
}

// read reads the parameters of all levels below the path, in the order of their names. SecureStrings are left out unless they are to be decrypted, and what cannot be read, which
// is told, if that is asked for.
func (f *exportFlags) read(ctx context.Context, api *ssm.Client, notes io.Writer) (out []types.Parameter, lost []string, err error) {
	all, err := f.readPages(ctx, api)
	switch {
	case damaged(err) && f.skip:
		all, lost, err = f.readEach(ctx, api)
	case damaged(err):
		err = fmt.Errorf("%w; give --skip-damaged to have the others printed", err)
	}
	if err != nil {
		return nil, nil, err
	}
	secret := 0
	for _, p := range all {
		if p.Type == types.ParameterTypeSecureString && !f.decrypt {
			secret++
			continue
		}
		out = append(out, p)
	}
	if secret > 0 {
		_, _ = fmt.Fprintf(notes, "%d SecureStrings are left out: give --with-decryption to have them printed\n", secret)
	}
	if len(out) == 0 {
		return nil, nil, errors.Join(missing("below %s there is no parameter that can be printed", f.path), leftOut(lost))
	}
	return out, lost, nil
}

func (f *exportFlags) readPages(ctx context.Context, api *ssm.Client) (out []types.Parameter, err error) {
	in := &ssm.GetParametersByPathInput{Path: &f.path, Recursive: aws.Bool(true), WithDecryption: &f.decrypt}
	pages := ssm.NewGetParametersByPathPaginator(api, in)
	for pages.HasMorePages() {
		page, err := within(ctx, f.gateway.timeout, func(ctx context.Context) (*ssm.GetParametersByPathOutput, error) { return pages.NextPage(ctx) })
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", f.path, err)
		}
		out = append(out, page.Parameters...)
	}
	return out, nil
}

// render writes the parameters in the format that is asked for.
func (f *exportFlags) render(path storePath, found []types.Parameter) ([]byte, error) {
	entries := make([]paramfile.Entry, 0, len(found))
	for _, p := range found {
		entries = append(entries, paramfile.Entry{
			Name: path.below(aws.ToString(p.Name)), Value: aws.ToString(p.Value), List: p.Type == types.ParameterTypeStringList,
		})
	}
	switch f.output {
	case outputJSON, outputYAML:
		return paramfile.WriteNested(paramfile.Format(f.output), entries)
	}
	if err := f.keyed(entries); err != nil {
		return nil, err
	}
	switch f.output {
	case outputConfigMap:
		return paramfile.WriteManifest("ConfigMap", f.name, entries)
	case outputSecret:
		return paramfile.WriteManifest("Secret", f.name, entries)
	}
	return paramfile.WriteEnv(entries), nil
}

// keyed makes keys of names, as a ParameterTree does.
func (f *exportFlags) keyed(entries []paramfile.Entry) error {
	format := v1alpha1.ParameterKeyFormat(f.keyFormat)
	if format == "" {
		if format = v1alpha1.KeyDotted; f.output == outputEnv {
			format = v1alpha1.KeyUpperSnake
		}
	}
	names := make(map[string]string, len(entries))
	for i := range entries {
		name := entries[i].Name
		key := parameterstore.DataKey("/", format, name)
		if other, taken := names[key]; taken {
			return fmt.Errorf("%s and %s would have one key, %s: give another --key-format, or -o json", other, name, key)
		}
		if problems := validation.IsConfigMapKey(key); len(problems) > 0 && f.output != outputEnv {
			return fmt.Errorf("%s makes no key of a ConfigMap or Secret: %s", name, problems[0])
		}
		names[key], entries[i].Name = name, key
	}
	slices.SortFunc(entries, func(a, b paramfile.Entry) int { return strings.Compare(a.Name, b.Name) })
	return nil
}
