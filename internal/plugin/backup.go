package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"strongroom.dev/strongroom/internal/backup"
)

// ownNamespace is Strongroom's own if nothing else is said, as everywhere.
const ownNamespace = "strongroom-system"

type backupFlags struct {
	cluster        clusterFlags
	recipients     []string
	recipientFiles []string
	withoutRoot    bool
}

func newBackup() *cobra.Command {
	var f backupFlags
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the whole installation into one file, sealed to recipients whose keys are offline",
		Long: "Write the root of trust, the domain keys, all Envelopes and all of Strongroom's objects of the cluster into FILE, in the format of age\n" +
			"(https://age-encryption.org), so that only who holds the identity of one of the recipients can open it: age-keygen -pq makes one, whose recipient\n" +
			"age1pq1... is safe against quantum computers too. Keep the identity offline: whoever has it and the file has every value. Of an HSMCluster its credentials\n" +
			"are in it, and what is in its HSMs is not: see docs/backup.md. What was made while the backup is taken may be missing in it. " +
			"FILE must not exist; - is the standard output.",
		Example: "  strongroom backup -r age1pq1... strongroom-2026-11-29.age\n" +
			"  strongroom backup -R recipients.txt --without-root - | aws s3 cp - s3://backups/strongroom.age",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0])
		},
	}
	f.cluster.addOwn(cmd)
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.recipients, "recipient", "r", nil, "recipient of age, age1pq1... or age1...; may be given several times, and each can open the file")
	flags.StringArrayVarP(&f.recipientFiles, "recipients-file", "R", nil, "file of recipients, one a line")
	flags.BoolVar(&f.withoutRoot, "without-root", false, "leave the root of trust out: it does not change, and may be kept where the other backups are not")
	return cmd
}

// addOwn is add for a command about the installation, whose namespace is Strongroom's own.
func (f *clusterFlags) addOwn(cmd *cobra.Command) {
	f.add(cmd)
	namespace := cmd.Flags().Lookup("namespace")
	namespace.Usage, namespace.DefValue, f.namespace = "Strongroom's own namespace", ownNamespace, ownNamespace
}

func (f *backupFlags) run(ctx context.Context, out, notes io.Writer, path string) error {
	recipients, err := f.parse()
	if err != nil {
		return err
	}
	cluster, namespace, err := f.cluster.connect()
	if err != nil {
		return err
	}
	counted := newCounts(notes, "written")
	collector := &backup.Collector{
		Cluster: cluster, Namespace: namespace, WithoutRoot: f.withoutRoot, Now: time.Now, Each: func(kind string) { counted.add(kind) },
	}
	var passed passedOver
	collector.Passed = passed.add
	write := func(to io.Writer) error {
		err := collector.Write(ctx, to, recipients...)
		passed.tell(notes)
		return err
	}
	if path == "-" {
		sum := sha256.New()
		if err = write(io.MultiWriter(out, sum)); err == nil {
			_, err = fmt.Fprintf(notes, "%s\nsha256:%x\n", counted, sum.Sum(nil))
		}
	} else {
		var digest string
		if digest, err = writeNew(path, write); err == nil {
			_, err = fmt.Fprintf(out, "%s: %s\nsha256:%s\n", path, counted, digest)
		}
	}
	return err
}

// passedOver are the Envelopes that a backup leaves out.
type passedOver struct {
	names []string // some of them
	count int
}

// maximumPassed is how many are named: a tenant can make any number.
const maximumPassed = 10

func (p *passedOver) add(name string, epoch int64) {
	if p.count++; len(p.names) < maximumPassed {
		p.names = append(p.names, fmt.Sprintf("%s, of epoch %d", printable(name), epoch))
	}
}

func (p *passedOver) tell(notes io.Writer) {
	for _, name := range p.names {
		_, _ = fmt.Fprintf(notes, "left out: %s\n", name)
	}
	if p.count > 0 {
		_, _ = fmt.Fprintf(notes, "%d Envelopes are left out, since there has been no domain key of the epochs that they name: nothing here opens them\n", p.count)
	}
}

// parse reads the recipients.
func (f *backupFlags) parse() (out []age.Recipient, err error) {
	texts := slices.Clone(f.recipients)
	for _, path := range f.recipientFiles {
		text, err := readSmall(path)
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		parsed, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("reading a recipient: %w; give age1pq1... or age1..., which age-keygen prints", err)
		}
		out = append(out, parsed...)
	}
	if len(out) == 0 {
		return nil, errors.New("no recipient: give -r age1pq1... (age-keygen -pq makes one), or -R FILE")
	}
	return out, nil
}

// maximumKeys is the length in bytes of a file of recipients or identities.
const maximumKeys = 1 << 20

// readSmall reads a file of recipients or identities.
func readSmall(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maximumKeys+1))
	if err == nil && len(text) > maximumKeys {
		err = fmt.Errorf("%s: it has more than %d bytes", path, maximumKeys)
	}
	return text, err
}

// writeNew makes a file that is not there yet, and says its SHA-256. Crash-safe: the file has its name when it is whole and on the disk.
func writeNew(path string, write func(io.Writer) error) (digest string, err error) {
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("%s is there already: give another name", path)
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // for its owner alone
	if err != nil {
		return "", err
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	sum := sha256.New()
	if err := write(io.MultiWriter(file, sum)); err != nil {
		return "", err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return "", err
	}
	if os.Link(file.Name(), path) != nil { // which does not take the place of another; not every file system can
		if _, err := os.Lstat(path); err == nil {
			return "", fmt.Errorf("%s is there by now: give another name", path)
		}
		if err := os.Rename(file.Name(), path); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
