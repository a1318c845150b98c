package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// The kinds of objects that have sealed values.
const (
	kindSecret    = "Secret"
	kindParameter = "Parameter"
)

// The scopes of sealed values.
const (
	scopeStrict  = "strict"
	scopeAccount = "account"
)

type sealFlags struct {
	cluster   clusterFlags
	key       string
	publicKey string
	name      string
	object    string
	region    string
	scope     string
	kind      string
	output    string
}

func newSeal() *cobra.Command {
	var f sealFlags
	cmd := &cobra.Command{
		Use:   "seal --key KEY --name NAME < VALUE",
		Short: "Encrypt a value that can be kept in Git",
		Long: "Encrypt a value for one Secret or Parameter, by a KMSKey's public half, and print its manifest. Only the installation that has the key opens\n" +
			"it, and only for an object of that kind, account, region and name. The value is read from the standard input, as it is.\n\n" +
			"Without a cluster, seal by a public key that was fetched before:\n\n" +
			"  strongroom sealing-key --key alias/shop > shop.pub\n" +
			"  strongroom seal --public-key shop.pub --name prod/shop/db < value > secret.yaml",
		Example: "  printf %s \"$PASSWORD\" | strongroom seal -n shop --key alias/shop --name prod/shop/db > secret.yaml\n  kubectl apply -f secret.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f.cluster.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "the KMSKey: its object's name, alias/NAME, key id or ARN")
	flags.StringVar(&f.publicKey, "public-key", "", "file with the line of `strongroom sealing-key`, instead of --key and a cluster")
	flags.StringVar(&f.kind, "kind", kindSecret, "Secret, or Parameter: a SecureString")
	flags.StringVar(&f.name, "name", "", "name of the secret in AWS Secrets Manager, or of the parameter (spec.name)")
	flags.StringVar(&f.object, "object-name", "", "metadata.name of the manifest; made of --name if it is left out")
	flags.StringVar(&f.region, "region", "", "region of the object; the key's if it is left out")
	flags.StringVar(&f.scope, "scope", scopeStrict, "strict: for this name alone; account: for any name of the key's account")
	flags.StringVarP(&f.output, "output", "o", "yaml", "yaml: a manifest; raw: the sealed value alone")
	cmd.MarkFlagsOneRequired("key", "public-key")
	cmd.MarkFlagsMutuallyExclusive("key", "public-key")
	complete(cmd, "kind", kindSecret, kindParameter)
	complete(cmd, "scope", scopeStrict, scopeAccount)
	complete(cmd, "output", "yaml", "raw")
	return cmd
}

func newSealingKey() *cobra.Command {
	var f sealFlags
	cmd := &cobra.Command{
		Use:   "sealing-key --key KEY",
		Short: "Print the public key by which values are sealed for a KMSKey",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			public, _, err := f.public(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), public)
			return err
		},
	}
	f.cluster.add(cmd)
	cmd.Flags().StringVar(&f.key, "key", "", "the KMSKey: its object's name, alias/NAME, key id or ARN")
	_ = cmd.MarkFlagRequired("key") // it exists
	return cmd
}

// complete offers the values of a flag to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // it exists
}

func (f *sealFlags) run(ctx context.Context, in io.Reader, out io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	public, namespace, err := f.public(ctx)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(in, sealing.MaximumValue+1))
	if err != nil {
		return fmt.Errorf("reading the value: %w", err)
	}
	value := secretbytes.Own(raw)
	defer value.Wipe()
	if f.kind == kindParameter && value.Len() > parameterstore.MaximumAdvanced {
		return fmt.Errorf("the value has %d bytes, and a parameter has at most %d", value.Len(), parameterstore.MaximumAdvanced)
	}
	scope := sealing.Scope{Kind: f.kind, Account: arn.Account(public.KeyARN), Region: f.region, Name: f.name}
	if f.kind == kindParameter {
		scope.Name = strings.TrimPrefix(f.name, "/") // x and /x are one parameter
	}
	if scope.Region == "" {
		scope.Region = arn.Region(public.KeyARN)
	}
	if f.scope == scopeAccount {
		scope.Name = ""
	}
	text, err := public.Seal(scope, value)
	if err != nil {
		return err
	}
	if f.output == "raw" {
		_, err = fmt.Fprintln(out, text)
		return err
	}
	return f.print(out, namespace, scope.Region, text, value.Len())
}

func (f *sealFlags) check() error {
	switch {
	case f.kind != kindSecret && f.kind != kindParameter:
		return fmt.Errorf("--kind is %q: give Secret or Parameter", f.kind)
	case f.scope != scopeStrict && f.scope != scopeAccount:
		return fmt.Errorf("--scope is %q: give strict or account", f.scope)
	case f.output != "yaml" && f.output != "raw":
		return fmt.Errorf("--output is %q: give yaml or raw", f.output)
	}
	return f.checkName()
}

func (f *sealFlags) checkName() error {
	switch {
	case f.name == "" && (f.scope == scopeStrict || f.output == "yaml"):
		return errors.New("--name is missing: the value opens for an object of this name alone, for example --name prod/shop/db")
	case f.name == "":
	case f.kind == kindParameter && parameterstore.CheckName(f.region, anAccount, f.name) != nil:
		return fmt.Errorf("--name is %q: a parameter's name has letters, digits and . _ -, or is a path that begins with a slash, of 15 levels at most, "+
			"for example /prod/shop/key; aws and ssm are not at its beginning", f.name)
	case f.kind == kindSecret && !names.MatchString(f.name):
		return fmt.Errorf("--name is %q: the name of a secret has 1 to 512 letters, digits and /_+=.@-", f.name)
	}
	return nil
}

// public finds the key to seal by, and the namespace that its account is, empty if that is not known.
func (f *sealFlags) public(ctx context.Context) (*sealing.PublicKey, string, error) {
	if f.publicKey != "" {
		line, err := os.ReadFile(f.publicKey)
		if err != nil {
			return nil, "", err
		}
		public, err := sealing.ParsePublicKey(string(line))
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", f.publicKey, err)
		}
		return public, f.cluster.namespace, nil
	}
	cluster, namespace, err := f.cluster.connect()
	if err != nil {
		return nil, "", err
	}
	key, err := findKey(ctx, cluster, namespace, f.key)
	if err != nil {
		return nil, "", err
	}
	public, err := sealingKeyOf(key)
	return public, namespace, err
}

// sealingKeyOf is the public key by which values are sealed for a KMSKey's newest material.
func sealingKeyOf(key *v1alpha1.KMSKey) (*sealing.PublicKey, error) {
	if key.Status.SealingPublicKey == "" {
		return nil, fmt.Errorf("KMSKey %s/%s has no sealing key: it is not Enabled yet, is asymmetric, or is in a custom key store", key.Namespace, key.Name)
	}
	public, err := sealing.ParsePublicKey(key.Status.SealingPublicKey)
	if err != nil {
		return nil, fmt.Errorf("KMSKey %s/%s: %w", key.Namespace, key.Name, err)
	}
	return public, nil
}

// findKey finds a KMSKey of a namespace by its name, alias, id or ARN. An id may be the UUID that a sealed value has; of multi-Region keys, which have one id and
// material, it is the primary unless the name or the ARN is a replica's.
func findKey(ctx context.Context, cluster client.Client, namespace, ref string) (*v1alpha1.KMSKey, error) {
	var list v1alpha1.KMSKeyList
	if err := cluster.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing the KMSKeys of namespace %s: %w", namespace, err)
	}
	var found *v1alpha1.KMSKey
	for i := range list.Items {
		key := &list.Items[i]
		switch {
		case key.Name == ref || key.Status.ARN == ref:
			return key, nil
		case key.Status.KeyID != ref && !slices.Contains(kms.IndexKeyID(key), ref) && !slices.Contains(key.Spec.Aliases, ref):
		case found == nil, kms.IsReplica(found) && !kms.IsReplica(key):
			found = key
		}
	}
	if found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("namespace %s has no KMSKey %s", namespace, ref)
}

// names are those that a Secret's spec.name takes.
var names = regexp.MustCompile(`^[a-zA-Z0-9/_+=.@-]{1,512}$`)

var notInNames = regexp.MustCompile(`[^a-z0-9.-]+`)

// objectName makes a name for Kubernetes of one in AWS.
func objectName(name string) string {
	out := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-.")
	return out[:min(len(out), 253)]
}

// print writes the manifest that a user would have written.
func (f *sealFlags) print(out io.Writer, namespace, region, text string, size int) error {
	object := f.object
	if object == "" {
		object = objectName(f.name)
	}
	if object == "" {
		return errors.New("--object-name is missing: nothing of --name is left for it")
	}
	spec := map[string]any{"sealed": text, "region": region, "target": map[string]any{}}
	if f.kind == kindParameter {
		spec["type"], spec["target"] = v1alpha1.ParameterSecureString, map[string]any{"secret": map[string]any{}}
		if size > parameterstore.MaximumStandard {
			spec["tier"] = v1alpha1.TierAdvanced
		}
	}
	if f.name != object {
		spec["name"] = f.name
	}
	metadata := map[string]any{"name": object}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	manifest, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": f.kind, "metadata": metadata, "spec": spec,
	})
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	_, err = out.Write(manifest)
	return err
}
