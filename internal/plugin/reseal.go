package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/sealing"
)

type resealFlags struct {
	cluster clusterFlags
	key     string
	check   bool
	timeout time.Duration
}

func newReseal() *cobra.Command {
	var f resealFlags
	cmd := &cobra.Command{
		Use:   "reseal FILE...",
		Short: "Seal the sealed values of manifests anew, for a key's newest material or for another key",
		Long: "For each Secret in the files whose spec.sealed is for an earlier material of its KMSKey, or for another key than --key, ask the cluster for the\n" +
			"value sealed anew, and put it into the file in place of the former text. Nothing else of the file is touched, and nobody sees the value.\n" +
			"The manifests have to be applied already: it is the cluster's own text that is sealed anew. Ask by the annotation " + v1alpha1.ResealAnnotation + ",\n" +
			"which is taken off again.",
		Example: "  strongroom reseal -n shop secrets/*.yaml\n  strongroom reseal -n shop --key shop-2 db.yaml\n  strongroom reseal -n shop --check secrets/*.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	f.cluster.add(cmd)
	cmd.Flags().StringVar(&f.key, "key", "", "the KMSKey to seal for: its object's name, alias/NAME, key id or ARN; the one that each value is sealed for if it is left out")
	cmd.Flags().BoolVar(&f.check, "check", false, "say which values are to be sealed anew, fail if there are any, and change nothing")
	cmd.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "how long to wait for each value")
	return cmd
}

// errStale is what --check finds.
var errStale = errors.New("sealed for an earlier material, or for another key: run strongroom reseal without --check")

func (f *resealFlags) run(ctx context.Context, out io.Writer, files []string) error {
	cluster, namespace, err := f.cluster.connect()
	if err != nil {
		return err
	}
	stale := 0
	for _, file := range files {
		n, err := f.file(ctx, cluster, out, namespace, file)
		if stale += n; err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if f.check && stale > 0 {
		return fmt.Errorf("%d values are %w", stale, errStale)
	}
	return nil
}

// maximumManifest is the length of a file in bytes that is read whole.
const maximumManifest = 16 << 20

// file goes through the Secrets of one file, and counts those that are to be sealed anew. The file is written after each value, so that what was made is kept
// if the next one fails.
func (f *resealFlags) file(ctx context.Context, cluster client.Client, out io.Writer, namespace, path string) (stale int, err error) {
	text, err := readManifest(path)
	if err != nil {
		return 0, err
	}
	secrets, err := sealedIn(text)
	if err != nil {
		return 0, err
	}
	for _, s := range secrets {
		if s.Namespace == "" {
			s.Namespace = namespace
		}
		to, is, err := f.resealing(ctx, cluster, s.Secret)
		if err != nil {
			return stale, fmt.Errorf("its Secret %s/%s: %w", s.Namespace, s.Name, err)
		}
		if is {
			continue
		}
		stale++
		if f.check {
			_, _ = fmt.Fprintf(out, "%s: Secret %s/%s is not sealed for the newest material of KMSKey %s\n", path, s.Namespace, s.Name, to.name)
			continue
		}
		resealed, err := f.ask(ctx, cluster, s.Secret, to)
		if err != nil {
			return stale, fmt.Errorf("its Secret %s/%s: %w", s.Namespace, s.Name, err)
		}
		if text, err = replaceSealed(text, s, resealed); err != nil {
			return stale, err
		}
		if err := replaceFile(path, text); err != nil {
			return stale, err
		}
		_, _ = fmt.Fprintf(out, "%s: Secret %s/%s is sealed anew, for KMSKey %s\n", path, s.Namespace, s.Name, to.name)
	}
	return stale, nil
}

// replaceSealed puts a text in the place of a Secret's sealed value, and nowhere else: not in a comment or in another Secret.
func replaceSealed(text []byte, of *sealedSecret, resealed string) ([]byte, error) {
	all := documents(text)
	for n := range bytes.Count(all[of.document], []byte(of.Spec.Sealed)) {
		changed := slices.Clone(all)
		changed[of.document] = replaceNth(all[of.document], of.Spec.Sealed, resealed, n)
		out := bytes.Join(changed, []byte(separator))[1:]
		found, err := sealedIn(out)
		if err == nil && slices.ContainsFunc(found, func(s *sealedSecret) bool { return s.document == of.document && s.Spec.Sealed == resealed }) {
			return out, nil
		}
	}
	return nil, errors.New("the text of spec.sealed is not found in the file")
}

// replaceNth replaces one occurrence, counted from 0, of those that do not overlap.
func replaceNth(text []byte, former, now string, n int) []byte {
	at := 0
	for range n {
		at += bytes.Index(text[at:], []byte(former)) + len(former)
	}
	return append(slices.Clone(text[:at]), bytes.Replace(text[at:], []byte(former), []byte(now), 1)...)
}

func readManifest(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maximumManifest+1))
	if err == nil && len(text) > maximumManifest {
		err = fmt.Errorf("it has over %d bytes", maximumManifest)
	}
	return text, err
}

// replaceFile writes beside the file and renames, so that whatever dies leaves the former file or the new one.
func replaceFile(path string, text []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	err = errors.Join(err, out.Chmod(info.Mode().Perm()), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		_ = os.Remove(out.Name()) // what matters is said already
	}
	return err
}

// sealedSecret is a Secret with a sealed value, and the number of its document in the file.
type sealedSecret struct {
	*v1alpha1.Secret
	document int
}

// sealedIn are the Secrets of a file of YAML documents that have a sealed value.
func sealedIn(text []byte) ([]*sealedSecret, error) {
	var out []*sealedSecret
	for i, document := range documents(text) {
		s, err := sealedSecretOf(document)
		if err != nil {
			return nil, fmt.Errorf("document %d %w", i+1, err)
		}
		if s != nil {
			out = append(out, &sealedSecret{s, i})
		}
	}
	return out, nil
}

// sealedSecretOf is the Secret of a document, nil if it is none with a sealed value. Documents of other kinds are passed over, whatever is in
// them, but for those whose sealed values would go unseen.
func sealedSecretOf(document []byte) (*v1alpha1.Secret, error) {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(document, &head); err != nil {
		return nil, fmt.Errorf("is no YAML: %w", err)
	}
	ours, sealed := head.APIVersion == groupVersion.String(), bytes.Contains(document, []byte("srs1."))
	switch {
	case sealed && strings.HasSuffix(head.Kind, "List"):
		return nil, fmt.Errorf("is a %s with sealed values: write its Secrets as documents of their own", head.Kind)
	case sealed && ours && head.Kind == kindParameter:
		return nil, errors.New("is a Parameter with a sealed value, which is sealed anew by `strongroom seal --kind Parameter` alone: keep it in a file of its own")
	case !ours || head.Kind != kindSecret:
		return nil, nil
	}
	s := &v1alpha1.Secret{}
	if err := yaml.Unmarshal(document, s); err != nil {
		return nil, fmt.Errorf("is no Secret of %s: %w", groupVersion, err)
	}
	switch {
	case s.Spec.Sealed == "":
		return nil, nil
	case !bytes.Contains(document, []byte(s.Spec.Sealed)):
		return nil, errors.New("has the text of spec.sealed in pieces; write it in one line")
	case s.Name == "":
		return nil, errors.New("has no metadata.name: give it one")
	}
	return s, nil
}

// documents of a file. A line that begins with three dashes ends one, as kubectl has it.
func documents(text []byte) [][]byte {
	return bytes.Split(append([]byte("\n"), text...), []byte(separator))
}

// separator is what stands between two documents. It is one at a file's beginning too, by the line break that documents puts before.
const separator = "\n---"

// resealing tells for which key a value is to be sealed, and whether it is so already.
func (f *resealFlags) resealing(ctx context.Context, cluster client.Client, s *v1alpha1.Secret) (to *sealingKey, is bool, err error) {
	sealed, err := sealing.Identify(s.Spec.Sealed)
	if err != nil {
		return nil, false, err
	}
	ref := f.key
	if ref == "" {
		ref = keys.FormatKeyID(sealed.KeyID)
	}
	key, err := findKey(ctx, cluster, s.Namespace, ref)
	if err != nil {
		return nil, false, err
	}
	public, err := sealingKeyOf(key)
	if err != nil {
		return nil, false, err
	}
	return &sealingKey{key.Name, public}, public.Seals(sealed), nil
}

// sealingKey is a KMSKey of a name, and its newest material's public half.
type sealingKey struct {
	name   string
	public *sealing.PublicKey
}

// sealed tells whether a text was sealed for that material.
func (k *sealingKey) sealed(text string) bool {
	h, err := sealing.Identify(text)
	return err == nil && k.public.Seals(h)
}

// ask has the cluster seal a value anew. The annotation goes whatever happens, so that status does not keep a text that nobody waits for.
func (f *resealFlags) ask(ctx context.Context, cluster client.Client, s *v1alpha1.Secret, key *sealingKey) (resealed string, err error) {
	there := &v1alpha1.Secret{}
	if err := cluster.Get(ctx, client.ObjectKeyFromObject(s), there); err != nil {
		return "", err
	}
	if there.Spec.Sealed != s.Spec.Sealed {
		return "", errors.New("the cluster has another text in spec.sealed than the file: apply the file first")
	}
	if _, left := there.Annotations[v1alpha1.ResealAnnotation]; left { // by a run that was killed: the same again asks for nothing
		if err := annotate(ctx, cluster, there, nil); err != nil {
			return "", fmt.Errorf("taking off the annotation %s: %w", v1alpha1.ResealAnnotation, err)
		}
	}
	if err := annotate(ctx, cluster, there, &key.name); err != nil {
		return "", fmt.Errorf("asking for it: %w", err)
	}
	defer func() {
		// Also when who waits has gone: the annotation is what is left to tidy up.
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if failed := annotate(cleaning, cluster, there, nil); failed != nil {
			err = errors.Join(err, fmt.Errorf("taking off the annotation %s: %w", v1alpha1.ResealAnnotation, failed))
		}
	}()
	return f.await(ctx, cluster, there, key)
}

// annotate sets the annotation, or takes it off. A merge patch touches nothing else, whoever else writes the object.
func annotate(ctx context.Context, cluster client.Client, s *v1alpha1.Secret, key *string) error {
	patch, err := yaml.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.ResealAnnotation: key}}})
	if err != nil {
		return err
	}
	if patch, err = yaml.YAMLToJSON(patch); err != nil {
		return err
	}
	target := &v1alpha1.Secret{}
	target.Namespace, target.Name = s.Namespace, s.Name
	return cluster.Patch(ctx, target, client.RawPatch("application/merge-patch+json", patch))
}

// await reads the Secret until status has the text that was asked for, or says why not.
//
// What an earlier asking has left there is no answer: a text is one if it was made of the value that is in the file, for the newest material. A
// message that was there before gets some time to be another.
func (f *resealFlags) await(ctx context.Context, cluster client.Client, s *v1alpha1.Secret, key *sealingKey) (resealed string, err error) {
	former, source := s.Spec.Sealed, v1alpha1.SealedSource+sealing.Digest(s.Spec.Sealed)
	stale, began := s.Status.Resealed != nil && s.Status.Resealed.Message != "", time.Now()
	err = wait.PollUntilContextTimeout(ctx, pollInterval, f.timeout, true, func(ctx context.Context) (bool, error) {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return false, err
		}
		status := s.Status.Resealed
		switch {
		case s.Spec.Sealed != former:
			return false, errors.New("spec.sealed was changed meanwhile: apply the file, and try again")
		case status == nil, status.Key != key.name, status.Source != source: // the controller has not looked yet
			return false, nil
		case status.Message != "" && stale && time.Since(began) < settling:
			return false, nil
		case status.Message != "":
			return false, errors.New(status.Message)
		}
		resealed = strings.TrimSpace(status.Sealed)
		return key.sealed(resealed), nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return "", fmt.Errorf("%w (%v): %s", errTimeout, f.timeout, why(s))
	}
	return resealed, err
}
