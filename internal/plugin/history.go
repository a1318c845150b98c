package plugin

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type historyFlags struct {
	cluster clusterFlags
	output  string
}

// history is what is printed as JSON or YAML.
type history struct {
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	ARN       string    `json:"arn,omitempty"`
	Versions  []version `json:"versions"`
}

func newHistory() *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use:   "history [KIND] NAME",
		Short: "Show the versions of a Secret or Parameter, or the materials of a KMSKey, newest first",
		Long: "Show the versions of a Secret with their stages, those of a Parameter with their labels, or the materials of a KMSKey. KIND is secret if it\n" +
			"is left out. NAME is that of the object, or its name, alias or ARN in AWS. No value is shown: see reveal.",
		Example: "  strongroom history -n shop db\n  strongroom history -n shop prod/shop/db -o json\n  strongroom history -n shop parameter log-level\n" +
			"  strongroom history -n shop parameter /shop/log-level\n  strongroom history -n shop kmskey/shop",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
		ValidArgsFunction: completeNames(&f.cluster, hasHistory),
	}
	f.cluster.add(cmd)
	addOutput(cmd, &f.output, outputTable, outputJSON, outputYAML)
	return cmd
}

func (f *historyFlags) run(ctx context.Context, out io.Writer, args []string) error {
	_, r, o, err := f.cluster.locate(ctx, args, hasHistory)
	if err != nil {
		return err
	}
	versions := r.kind.history(o)
	slices.SortStableFunc(versions, func(a, b version) int { return int(b.Number - a.Number) })
	if f.output != outputTable {
		if versions == nil {
			versions = []version{} // a list, and not null
		}
		return structured(out, f.output, history{Kind: r.kind.name, Namespace: o.GetNamespace(), Name: o.GetName(), ARN: r.kind.arnOf(o), Versions: versions})
	}
	rows := [][]string{{"NUMBER", "ID", "LABELS", "AGE", "CREATED"}}
	for _, v := range versions {
		rows = append(rows, []string{
			number(v.Number), v.ID, strings.Join(v.Labels, ","), elapsed(time.Now(), v.Created), v.Created.UTC().Format(time.RFC3339),
		})
	}
	return table(out, rows)
}
