package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"strongroom.dev/strongroom/internal/backup"
)

type restoreFlags struct {
	cluster    clusterFlags
	identities []string
	digest     string
	dryRun     bool
}

func newRestore() *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup into a cluster",
		Long: "Put what strongroom backup wrote into a cluster where Strongroom is installed and no manager runs (helm install ... --set replicas=0), and start it then.\n" +
			"The file is read to its end before anything is made. Objects are made and never changed: those that are there already as they are in the backup are\n" +
			"passed over, so that it can be run again after whatever stopped it, and others of the same names are told and left alone. What is there in hands that the backup does not\n" +
			"know, by an owner or a finalizer, is told as held, with what takes it out of them. A cluster with another root of trust is refused.\n" +
			"Where the root of trust is the backup's own, what was deleted since is made again, also while a manager runs.\n\n" +
			"Anybody who knows a recipient can make a file for it: give --digest, which strongroom backup printed, to be sure that it is this one.",
		Example: "  strongroom restore -i identity.txt --dry-run strongroom-2026-11-29.age\n" +
			"  strongroom restore -i identity.txt --digest sha256:9f86d08... strongroom-2026-11-29.age",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0])
		},
	}
	f.cluster.add(cmd)
	flags := cmd.Flags()
	_ = flags.MarkHidden("namespace") // the backup tells
	flags.StringArrayVarP(&f.identities, "identity", "i", nil, "file of identities of age, which age-keygen made")
	flags.StringVar(&f.digest, "digest", "", "digest that the file must have: sha256:HEX, as strongroom backup printed it")
	flags.BoolVar(&f.dryRun, "dry-run", false, "read the file, compare it with the cluster, and write nothing")
	return cmd
}

func (f *restoreFlags) run(ctx context.Context, out, notes io.Writer, path string) error {
	identities, err := f.parse()
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	same, err := readFirst(file)
	if err == nil {
		err = f.check(same.hex())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	cluster, _, err := f.cluster.connect()
	if err != nil {
		return err
	}
	word := "made"
	if f.dryRun {
		word = "to be made"
	}
	made, there := newCounts(notes, word), newCounts(nil, "there already")
	restorer := &backup.Restorer{Cluster: cluster, DryRun: f.dryRun, Now: time.Now, Each: func(kind string, is bool) {
		if is {
			made.add(kind)
			return
		}
		there.add(kind)
	}, Bare: func(name, why string) {
		_, _ = fmt.Fprintf(notes, "without its status, which is rebuilt from its Envelopes: %s: %s\n", printable(name), printable(why))
	}}
	restorer.Held = func(h backup.Held) { _, _ = fmt.Fprintf(notes, "held: %s\n", printable(inWhoseHands(h))) }
	conflicts, err := restorer.Restore(ctx, func() (*backup.Reader, error) { return backup.NewReader(same.open(), identities...) })
	for _, name := range conflicts {
		_, _ = fmt.Fprintf(notes, "other: %s\n", printable(name))
	}
	var stranger *age.NoIdentityMatchError
	if errors.As(err, &stranger) {
		return fmt.Errorf("%s: none of the identities opens it: give the one of a recipient that it was made for", path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	_, err = fmt.Fprintf(out, "%s: %s; %s\n", path, made, there)
	return err
}

// inWhoseHands says who holds an object that is there, and what an administrator does who knows nothing of them.
func inWhoseHands(h backup.Held) string {
	var by []string
	for _, owner := range h.Owners {
		by = append(by, "owner "+owner)
	}
	for _, finalizer := range h.Finalizers {
		by = append(by, "finalizer "+finalizer)
	}
	out := h.Name + ":"
	if len(by) > 0 {
		out += " " + strings.Join(by, ", ") + ": neither the backup nor Strongroom has put that there; if nobody else should have: " + h.Command
	}
	if h.BeingDeleted {
		out += " it is being deleted, and what has begun is not taken back: restore again when it is gone"
	}
	return out
}

// parse reads the identities.
func (f *restoreFlags) parse() (out []age.Identity, err error) {
	for _, path := range f.identities {
		text, err := readSmall(path)
		if err != nil {
			return nil, err
		}
		parsed, err := age.ParseIdentities(strings.NewReader(string(text)))
		clear(text)
		if err != nil {
			return nil, fmt.Errorf("%s: it is no file of age's identities, as age-keygen writes them", path) // not why: the text may be of a key
		}
		out = append(out, parsed...)
	}
	if len(out) == 0 {
		return nil, errors.New("no identity: give -i FILE, which age-keygen made")
	}
	return out, nil
}

// check compares the digest of a file, in hexadecimal, with the one that it must have.
func (f *restoreFlags) check(got string) error {
	if f.digest == "" {
		return nil
	}
	want, ok := strings.CutPrefix(f.digest, "sha256:")
	if _, err := hex.DecodeString(want); !ok || err != nil || len(want) != 2*sha256.Size {
		return fmt.Errorf("--digest is %q: give sha256: and 64 hexadecimal digits", f.digest)
	}
	if !strings.EqualFold(got, want) {
		return fmt.Errorf("its digest is sha256:%s: it is another file than --digest says", got)
	}
	return nil
}
