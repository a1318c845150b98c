package plugin

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

type getFlags struct {
	cluster       clusterFlags
	allNamespaces bool
	output        string
}

func newGet() *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use:   "get [KIND [NAME] | KIND/NAME]",
		Short: "Show objects, whether they are ready and why not; never a value",
		Long: "Show objects of one kind or of all, with the names that AWS knows them by. NAME is that of the object, or its name, alias or ARN in AWS.\n" +
			"No value is shown: see reveal.",
		Example: "  strongroom get -A\n  strongroom get secrets -n shop\n  strongroom get secret prod/shop/db -n shop -o yaml",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args)
		},
		ValidArgsFunction: completeNames(&f.cluster, anyKind),
	}
	f.cluster.add(cmd)
	cmd.Flags().BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "objects of all namespaces")
	addOutput(cmd, &f.output, outputTable, outputJSON, outputYAML, outputName)
	return cmd
}

// found is an object with its kind.
type found struct {
	kind   kind
	object object
}

func (f *getFlags) run(ctx context.Context, out, errs io.Writer, args []string) error {
	cluster, namespace, err := f.cluster.connect()
	if err != nil {
		return err
	}
	if f.allNamespaces {
		namespace = ""
	}
	objects, single, err := f.collect(ctx, cluster, namespace, args)
	if err != nil {
		return err
	}
	if len(objects) == 0 && f.output == outputTable {
		where := "namespace " + namespace
		if f.allNamespaces {
			where = "the cluster"
		}
		_, err = fmt.Fprintf(errs, "There is none in %s.\n", where)
		return err
	}
	return f.print(out, objects, single)
}

// collect reads what the arguments name: nothing for all kinds, a kind, or one object.
func (f *getFlags) collect(ctx context.Context, cluster client.Client, namespace string, args []string) (objects []found, single bool, err error) {
	wanted := kinds
	if len(args) > 0 {
		k, isKind := kindOf(args[0])
		switch {
		case isKind && len(args) == 1:
			wanted = []kind{k}
		case len(args) == 1 && !strings.Contains(args[0], "/"):
			return nil, false, unknownKind(args[0], anyKind)
		case f.allNamespaces:
			return nil, false, fmt.Errorf("a name is of one namespace: leave --all-namespaces out")
		default:
			r, err := refer(args, anyKind)
			if err != nil {
				return nil, false, err
			}
			o, err := r.find(ctx, cluster, namespace)
			return []found{{r.kind, o}}, true, err
		}
	}
	for _, k := range wanted {
		of, err := k.objects(ctx, cluster, namespace)
		if err != nil {
			return nil, false, err
		}
		for _, o := range of {
			objects = append(objects, found{k, o})
		}
	}
	return objects, false, nil
}

func (f *getFlags) print(out io.Writer, objects []found, single bool) error {
	switch f.output {
	case outputTable:
		return table(out, f.rows(objects, time.Now()))
	case outputName:
		for _, o := range objects {
			if _, err := fmt.Fprintf(out, "%s.%s/%s\n", strings.ToLower(o.kind.name), groupVersion.Group, o.object.GetName()); err != nil {
				return err
			}
		}
		return nil
	}
	items := make([]object, len(objects))
	for i, o := range objects {
		o.object.GetObjectKind().SetGroupVersionKind(groupVersion.WithKind(o.kind.name))
		o.object.SetManagedFields(nil)
		items[i] = o.object
	}
	if single {
		return structured(out, f.output, items[0])
	}
	return structured(out, f.output, map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}

// rows of the table, its header first.
func (f *getFlags) rows(objects []found, now time.Time) [][]string {
	rows := [][]string{{"KIND", "NAME", "READY", "REASON", "ARN", "AGE", "MESSAGE"}}
	for _, o := range objects {
		ready := condition(o.object, v1alpha1.ConditionReady)
		rows = append(rows, []string{
			o.kind.name, o.object.GetName(), string(ready.Status), ready.Reason, o.kind.arnOf(o.object), elapsed(now, o.object.GetCreationTimestamp()), ready.Message,
		})
	}
	if !f.allNamespaces {
		return rows
	}
	for i := range rows {
		namespace := "NAMESPACE"
		if i > 0 {
			namespace = objects[i-1].object.GetNamespace()
		}
		rows[i] = append([]string{namespace}, rows[i]...)
	}
	return rows
}
