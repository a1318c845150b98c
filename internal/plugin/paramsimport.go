package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/spf13/cobra"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/plugin/paramfile"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

type importFlags struct {
	gateway   gatewayFlags
	path      string
	format    string
	secure    []string
	overwrite bool
	dryRun    bool
	keyID     string
	tier      string
	output    string
}

func newParamsImport() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE --path PATH",
		Short: "Put the parameters of a .env file, JSON, YAML, or a manifest of a ConfigMap or Secret below a path",
		Long: "Put what a file has below a path of the Parameter Store, through the AWS API (GetParameters to compare, PutParameter to write): IAM says who may, and the\n" +
			"audit log who did. Objects of JSON and YAML become levels of names, lists of them StringLists. What a manifest of a core Secret has becomes SecureStrings,\n" +
			"all else Strings, but for what --secure names. All is checked before anything is written; what has the value already is left alone, so that a second run\n" +
			"goes on where a first one ended. FILE is - for the standard input.",
		Example: "  strongroom params import .env --path /shop/prod --secure='*PASSWORD*'\n" +
			"  strongroom params import settings.yaml --path /shop/prod --dry-run\n" +
			"  kubectl get secret shop -o yaml | strongroom params import - --format yaml --path /shop/prod",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd, args[0])
		},
	}
	f.gateway.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.path, "path", "", "path of the Parameter Store that the names are below, for example /shop/prod")
	flags.StringVar(&f.format, "format", "", "format of the file: env, json, yaml; by its name if it is left out")
	flags.StringSliceVar(&f.secure, "secure", nil, "make SecureStrings of all, or with --secure=PATTERN of names below the path that match; * is any characters of a level, ** any")
	flags.Lookup("secure").NoOptDefVal = "**"
	flags.BoolVar(&f.overwrite, "overwrite", false, "give parameters that have another value that of the file")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be written, without values of SecureStrings, and write nothing")
	flags.StringVar(&f.keyID, "key-id", "", "KMS key of the SecureStrings: its id, ARN or alias; the account's own, alias/aws/ssm, if it is left out")
	flags.StringVar(&f.tier, "tier", "", "tier of the parameters: Standard, Advanced, Intelligent-Tiering")
	complete(cmd, "format", string(paramfile.Env), string(paramfile.JSON), string(paramfile.YAML))
	complete(cmd, "tier", string(types.ParameterTierStandard), string(types.ParameterTierAdvanced), string(types.ParameterTierIntelligentTiering))
	addOutput(cmd, &f.output, outputTable, outputJSON, outputYAML)
	return cmd
}

func (f *importFlags) run(ctx context.Context, cmd *cobra.Command, file string) error {
	path, err := readPath(f.path)
	if err != nil {
		return err
	}
	entries, err := readParameters(cmd.InOrStdin(), file, f.format)
	if err != nil {
		return err
	}
	wanted, err := f.wanted(path, entries)
	if err != nil {
		return err
	}
	api, err := f.gateway.parameters(ctx)
	if err != nil {
		return err
	}
	store, err := f.read(ctx, api, wanted, headway{cmd.ErrOrStderr(), "compared", len(wanted)})
	if err != nil {
		return err
	}
	steps := plan(wanted, store)
	if err := f.permit(steps); err != nil {
		return errors.Join(f.print(cmd.OutOrStdout(), steps), err)
	}
	if !f.dryRun {
		err = f.write(ctx, api, steps, headway{cmd.ErrOrStderr(), "written", count(steps, actionCreate) + count(steps, actionUpdate)})
	}
	if err == nil {
		err = f.print(cmd.OutOrStdout(), steps)
	}
	if err == nil && f.output == outputTable {
		_, err = fmt.Fprintln(cmd.ErrOrStderr(), f.sum(steps))
	}
	return err
}

// anAccount is as long as every account's id, which is all that the check of names looks at.
const anAccount = "000000000000"

// wanted is what the file says that the parameters are to be. What AWS would refuse for its size is refused before anything is written.
func (f *importFlags) wanted(path storePath, entries []paramfile.Entry) ([]wantedParameter, error) {
	secure := make([]func(string) bool, 0, len(f.secure))
	for _, pattern := range f.secure {
		compiled, err := parameterstore.CompilePattern(pattern)
		if err != nil {
			return nil, fmt.Errorf("--secure %s: %w", pattern, err)
		}
		secure = append(secure, compiled.MatchString)
	}
	most := parameterstore.MaximumStandard
	if f.tier != "" && f.tier != string(types.ParameterTierStandard) {
		most = parameterstore.MaximumAdvanced
	}
	out := make([]wantedParameter, 0, len(entries))
	for _, e := range entries {
		w := wantedParameter{name: path.name(e.Name), value: e.Value, kind: types.ParameterTypeString}
		if e.List {
			w.kind = types.ParameterTypeStringList
		}
		if e.Secret || slices.ContainsFunc(secure, func(matches func(string) bool) bool { return matches(e.Name) }) {
			w.kind = types.ParameterTypeSecureString
		}
		if err := parameterstore.CheckName(f.gateway.region, anAccount, w.name); err != nil {
			return nil, errors.New(w.name + ": " + err.Error()) // AWS would deny some of these, and was not asked
		}
		if err := parameterstore.CheckPut([]byte(e.Value)); err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		if len(e.Value) > most {
			return nil, fmt.Errorf("the value of %s has %d bytes, and its tier %d at most: give --tier Intelligent-Tiering, which has %d, or shorten it",
				w.name, len(e.Value), most, parameterstore.MaximumAdvanced)
		}
		out = append(out, w)
	}
	return out, nil
}

// atOnce is how many names GetParameters takes.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
const atOnce = 10

// read reads those of the parameters that are there, by their names without a slash at the beginning.
func (f *importFlags) read(ctx context.Context, api *ssm.Client, wanted []wantedParameter, p headway) (inventory, error) {
	store := inventory{parameters: make(map[string]types.Parameter, len(wanted)), declared: map[string]bool{}}
	done := 0
	for chunk := range slices.Chunk(wanted, atOnce) {
		in := &ssm.GetParametersInput{WithDecryption: aws.Bool(true)}
		for _, w := range chunk {
			in.Names = append(in.Names, w.name)
		}
		got, err := within(ctx, f.gateway.timeout, func(ctx context.Context) (*ssm.GetParametersOutput, error) { return api.GetParameters(ctx, in) })
		if err != nil {
			return inventory{}, fmt.Errorf("comparing with what is there: %w", err)
		}
		for _, p := range got.Parameters {
			store.parameters[arn.CanonicalParameter(aws.ToString(p.Name))] = p
		}
		if answer, is := awsmiddleware.GetRawResponse(got.ResultMetadata).(*smithyhttp.Response); is {
			for _, name := range readDeclared(answer.Header.Get(gateway.DeclaredHeader), in.Names) {
				store.declared[arn.CanonicalParameter(name)] = true
			}
		}
		done += len(chunk)
		p.tell(done)
	}
	return store, nil
}

// permit says why the steps may not be made: all of them or none are begun.
func (f *importFlags) permit(steps []step) error {
	if n := count(steps, actionConflict); n > 0 {
		return fmt.Errorf("%d parameters are of another type, which cannot change: delete them, or import below another path", n)
	}
	if n := count(steps, actionDeclared); n > 0 {
		return fmt.Errorf("%d parameters have their value from a manifest (Git), which wins: change it there, or take them out of the file. Nothing was written", n)
	}
	if n := count(steps, actionUpdate); n > 0 && !f.overwrite && !f.dryRun {
		return fmt.Errorf("%d parameters have another value: give --overwrite to change them. Nothing was written", n)
	}
	return nil
}

// write makes the steps one by one. A parameter that somebody else makes meanwhile is not overwritten.
func (f *importFlags) write(ctx context.Context, api *ssm.Client, steps []step, p headway) error {
	done := 0
	for i := range steps {
		s := &steps[i]
		if s.Action != actionCreate && s.Action != actionUpdate {
			continue
		}
		in := &ssm.PutParameterInput{
			Name: &s.Name, Value: &s.value, Type: types.ParameterType(s.Type), Overwrite: aws.Bool(s.Action == actionUpdate), Tier: types.ParameterTier(f.tier),
		}
		if s.Type == string(types.ParameterTypeSecureString) && f.keyID != "" {
			in.KeyId = &f.keyID
		}
		_, err := within(ctx, f.gateway.timeout, func(ctx context.Context) (*ssm.PutParameterOutput, error) { return api.PutParameter(ctx, in) })
		if err != nil {
			return fmt.Errorf("%s: %w. %d of %d were written before; run it again to go on", s.Name, err, done, p.of)
		}
		done++
		p.tell(done)
	}
	return nil
}

func (f *importFlags) print(out io.Writer, steps []step) error {
	if f.output != outputTable {
		return structured(out, f.output, steps)
	}
	rows := [][]string{{"ACTION", "NAME", "TYPE", "NOW", "FILE"}}
	for _, s := range steps {
		if s.Action != actionNone {
			rows = append(rows, []string{s.Action, s.Name, s.Type, cell(s.Now), cell(s.File)})
		}
	}
	if len(rows) == 1 {
		return nil
	}
	return table(out, rows)
}

func (f *importFlags) sum(steps []step) string {
	text := fmt.Sprintf("%d created, %d updated, %d unchanged", count(steps, actionCreate), count(steps, actionUpdate), count(steps, actionNone))
	if f.dryRun {
		text += ": nothing was written, as --dry-run says"
	}
	return text
}
