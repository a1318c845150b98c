package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
)

type rotateFlags struct {
	cluster clusterFlags
	wait    bool
	timeout time.Duration
}

func newRotate() *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use:   "rotate [KIND] NAME",
		Short: "Rotate a Secret, Parameter, KMSKey, Certificate, CertificateAuthority or the Keyring now, and wait until it is done",
		Long: "Ask for one rotation by the annotation " + v1alpha1.RotateAnnotation + ", and wait until it is done or has failed. KIND is secret if it is left out.\n" +
			"Of the Keyring there is one, in Strongroom's own namespace, so its kind is enough.\n" +
			"NAME is that of the object, or its name, alias or ARN in AWS. A rotation that fails or is late goes on by itself; its cause is in the object's\n" +
			"conditions.",
		Example: "  strongroom rotate -n shop db\n  strongroom rotate -n shop kmskey/shop --timeout 1m\n  strongroom rotate -n shop certificate/web --wait=false\n  strongroom rotate keyring",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
		ValidArgsFunction: completeNames(&f.cluster, rotates),
	}
	f.cluster.add(cmd)
	cmd.Flags().BoolVar(&f.wait, "wait", true, "wait until the rotation is done")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long to wait")
	return cmd
}

func (f *rotateFlags) run(ctx context.Context, out io.Writer, args []string) error {
	cluster, r, o, err := f.cluster.locate(ctx, args, rotates)
	if err != nil {
		return err
	}
	before := r.kind.made(o)
	asked := time.Now().UTC().Format(time.RFC3339Nano)
	if err := ask(ctx, cluster, o, asked); err != nil {
		return fmt.Errorf("asking for a rotation of %s %s/%s: %w", r.kind.name, o.GetNamespace(), o.GetName(), err)
	}
	if !f.wait {
		_, err = fmt.Fprintf(out, "%s %s/%s: asked for a rotation\n", r.kind.name, o.GetNamespace(), o.GetName())
		return err
	}
	if err := f.await(ctx, cluster, r.kind, o, asked, before); err != nil {
		return fmt.Errorf("%s %s/%s: %w", r.kind.name, o.GetNamespace(), o.GetName(), err)
	}
	_, err = fmt.Fprintf(out, "%s %s/%s: rotated%s\n", r.kind.name, o.GetNamespace(), o.GetName(), newest(r.kind, o))
	return err
}

// ask sets the annotation. A merge patch touches nothing else, whoever else writes the object.
func ask(ctx context.Context, cluster client.Client, o object, asked string) error {
	before, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		return errors.New("it is no object")
	}
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.RotateAnnotation] = asked
	o.SetAnnotations(annotations)
	return cluster.Patch(ctx, o, client.MergeFrom(before))
}

// pollInterval of an object that is waited for.
const pollInterval = 250 * time.Millisecond

// await reads the object until the rotation that was asked for is done, has failed, or the time is up.
func (f *rotateFlags) await(ctx context.Context, cluster client.Client, k kind, o object, asked, before string) error {
	began := time.Now()
	err := wait.PollUntilContextTimeout(ctx, pollInterval, f.timeout, true, func(ctx context.Context) (bool, error) {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return false, err
		}
		done, err := progress(k, o, asked, time.Since(began) > settling)
		if done && k.made(o) == before {
			if time.Since(began) > settling {
				return false, errNothing
			}
			return false, nil
		}
		return done, err
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return fmt.Errorf("%w (%v): %s", errTimeout, f.timeout, why(o))
	}
	return err
}

var errNothing = errors.New("nothing was rotated: its value comes from elsewhere (the API, a source, a sealed value), or spec.rotation.enabled is false")

// settling is how long an object that was stalled before it was asked gets to say something else.
const settling = 3 * time.Second

// progress tells whether the rotation that was asked for is done, or why it has failed. What the object said before it heeded that is about something else, but
// an object that stays stalled does not heed it.
func progress(k kind, o object, asked string, settled bool) (done bool, err error) {
	heeded := k.handled(o) == conditions.Echo(asked)
	if c := condition(o, v1alpha1.ConditionStalled); c.Status == metav1.ConditionTrue && (heeded || settled) {
		return false, fmt.Errorf("%s: %s", c.Reason, c.Message)
	}
	if !heeded {
		return false, nil
	}
	if c := condition(o, v1alpha1.ConditionRotationFailing); c.Status == metav1.ConditionTrue {
		return false, fmt.Errorf("%s: %s", c.Reason, c.Message)
	}
	if k.rotating != nil && k.rotating(o) {
		return false, nil
	}
	return condition(o, v1alpha1.ConditionReady).Status == metav1.ConditionTrue, nil
}

// why is what the object says of itself, for someone who waited in vain.
func why(o object) string {
	c := condition(o, v1alpha1.ConditionReady)
	if c.Message == "" {
		return "no controller has looked at it: is the manager running?"
	}
	return c.Message
}

// newest names the version that was made, if the kind has versions.
func newest(k kind, o object) string {
	if k.history == nil {
		return ""
	}
	return ", version " + k.made(o)
}
