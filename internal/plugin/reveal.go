package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

type revealFlags struct {
	gateway      gatewayFlags
	versionID    string
	versionStage string
	member       string
	output       string
}

func newReveal() *cobra.Command {
	var f revealFlags
	cmd := &cobra.Command{
		Use:   "reveal [secret | parameter] NAME",
		Short: "Print the value of a Secret or Parameter, which is audited",
		Long: "Print a value, read through the AWS API (GetSecretValue or GetParameter): IAM says who may, and the audit log who did. NAME is a name or ARN\n" +
			"in AWS of the account whose credentials these are; with --namespace it is the object's name, or its name or ARN in AWS, in that namespace.\n\n" +
			"The API is found as every AWS client finds it: AWS_ENDPOINT_URL, AWS_CA_BUNDLE, AWS_REGION and credentials of the environment or of ~/.aws.\n" +
			"With --service-account and --role-arn the kubeconfig is enough: the API server gives a token of that service account, which assumes the role.",
		Example: "  strongroom reveal prod/shop/db --json-key password\n" +
			"  strongroom reveal parameter /shop/url\n" +
			"  strongroom reveal prod/shop/db -n shop --service-account shop --role-arn arn:aws:iam::123456789012:role/shop",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
		ValidArgsFunction: completeNames(&f.gateway.cluster, revealed),
	}
	f.gateway.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.versionID, "version-id", "", "version of the secret, or number or label of a parameter's; the current one if it is left out")
	flags.StringVar(&f.versionStage, "version-stage", "", "stage of the secret's version, for example AWSPREVIOUS")
	flags.StringVar(&f.member, "json-key", "", "print this member of a value that is a JSON object")
	addOutput(cmd, &f.output, outputRaw, outputJSON, outputYAML)
	return cmd
}

// revealed are the kinds with a value.
func revealed(k kind) bool { return k.name == "Secret" || k.name == "Parameter" }

// value is what is printed as JSON or YAML, with the members of GetSecretValue's answer; a parameter has its value and version under those too.
type value struct {
	ARN          string     `json:"ARN"`
	Name         string     `json:"Name"`
	Version      string     `json:"VersionId"`
	Stages       []string   `json:"VersionStages,omitempty"`
	Created      *time.Time `json:"CreatedDate,omitempty"`
	SecretString *string    `json:"SecretString,omitempty"`
	SecretBinary []byte     `json:"SecretBinary,omitempty"`
}

func (f *revealFlags) run(ctx context.Context, out io.Writer, args []string) error {
	r, err := refer(args, revealed)
	if err != nil {
		return err
	}
	if r.kind.name == "Parameter" && f.versionStage != "" {
		return errors.New("--version-stage is for secrets: give a parameter's version or label by --version-id")
	}
	ctx, cancel := context.WithTimeout(ctx, f.gateway.timeout)
	defer cancel()
	name, err := f.nameOf(ctx, r)
	if err != nil {
		return err
	}
	config, err := f.gateway.config(ctx)
	if err != nil {
		return err
	}
	read := f.secret
	if r.kind.name == "Parameter" {
		read = f.parameter
	}
	v, err := read(ctx, config, name)
	if err != nil {
		return err
	}
	return f.print(out, v)
}

// nameOf is what AWS is asked for: the ARN of the object of --namespace, so that no other account's of the same name is shown, or without that flag the name as
// it was typed. A caller who may not read objects, as a service account may not, asks by the name in its own account.
func (f *revealFlags) nameOf(ctx context.Context, r reference) (string, error) {
	if f.gateway.cluster.namespace == "" {
		return r.name, nil
	}
	cluster, namespace, err := f.gateway.cluster.connect()
	if err != nil {
		return "", err
	}
	o, err := r.find(ctx, cluster, namespace)
	switch {
	case apierrors.IsForbidden(err) && f.gateway.serviceAccount != "":
		return r.name, nil
	case err != nil:
		return "", err
	case r.kind.arnOf(o) == "":
		return "", fmt.Errorf("%s %s/%s has no ARN yet: %s", r.kind.name, namespace, o.GetName(), why(o))
	}
	return r.kind.arnOf(o), nil
}

func (f *revealFlags) secret(ctx context.Context, config aws.Config, name string) (*value, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &name}
	if f.versionID != "" {
		in.VersionId = &f.versionID
	}
	if f.versionStage != "" {
		in.VersionStage = &f.versionStage
	}
	got, err := secretsmanager.NewFromConfig(config).GetSecretValue(ctx, in)
	if err != nil {
		return nil, err
	}
	return &value{
		ARN: aws.ToString(got.ARN), Name: aws.ToString(got.Name), Version: aws.ToString(got.VersionId), Stages: got.VersionStages, Created: got.CreatedDate,
		SecretString: got.SecretString, SecretBinary: got.SecretBinary,
	}, nil
}

func (f *revealFlags) parameter(ctx context.Context, config aws.Config, name string) (*value, error) {
	if f.versionID != "" {
		name += ":" + f.versionID
	}
	got, err := ssm.NewFromConfig(config).GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	p := got.Parameter
	return &value{ARN: aws.ToString(p.ARN), Name: aws.ToString(p.Name), Version: number(p.Version), Created: p.LastModifiedDate, SecretString: p.Value}, nil
}

// print writes the value as it is; with a line break after it only for a person, at a terminal.
func (f *revealFlags) print(out io.Writer, v *value) error {
	if f.member != "" {
		member, err := memberOf(v, f.member)
		if err != nil {
			return err
		}
		v.SecretString, v.SecretBinary = &member, nil
	}
	if f.output != outputRaw {
		return structured(out, f.output, v)
	}
	raw := v.SecretBinary
	if v.SecretString != nil {
		raw = []byte(*v.SecretString)
	}
	defer secretbytes.Own(raw).Wipe()
	if _, err := out.Write(raw); err != nil {
		return err
	}
	if isTerminal(out) {
		_, err := io.WriteString(out, "\n")
		return err
	}
	return nil
}

// memberOf is a member of a JSON object: text as it is, anything else as JSON. The error holds nothing of the value.
func memberOf(v *value, name string) (string, error) {
	var members map[string]json.RawMessage
	if v.SecretString == nil || json.Unmarshal([]byte(*v.SecretString), &members) != nil {
		return "", fmt.Errorf("the value of %s is not a JSON object: leave --json-key out", v.Name)
	}
	raw, has := members[name]
	if !has {
		return "", missing("the value of %s has no member %q", v.Name, name)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil && strings.HasPrefix(string(raw), `"`) {
		return text, nil
	}
	return string(raw), nil
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
