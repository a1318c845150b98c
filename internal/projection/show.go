package projection

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

// Showing is what an object wants shown, and what its status knows of it.
type Showing struct {
	// Owner is the object, Namespace and Generation are its own.
	Owner      Owner
	Namespace  string
	Generation int64
	// Target is what is wanted, nil for nothing. Its data is wiped once it is shown.
	Target *Target
	// Version is the id of the version that the target shows.
	Version string
	// Wanted tells one thing to show from another where the data cannot: what is signed anew differs each time, though the same is said. With
	// another Wanted, all that somebody undid is forgotten. Empty if the data tells.
	Wanted string
	// Restart are the workloads to restart when the data is other than status knows.
	Restart []v1alpha1.RestartTarget
	// Former is what status knows, nil for nothing.
	Former *Former
	// Now is the time of the pass.
	Now time.Time
	// Paid tells that the owner's controller has asked the budget itself, before it read anything.
	Paid bool
	// Losing has the target lose keys, and nothing else written: see ErrMore.
	Losing bool

	// base is the name of an immutable target as the owner has it.
	base string
	// tried tells that workloads were to be restarted: what is wrong with Restart is said then.
	tried bool
}

// Former is a target as an object's status knows it.
type Former struct {
	// ConfigMap tells that it is a ConfigMap.
	ConfigMap bool
	// Name of the core Secret or ConfigMap, and the keys that were written.
	Name string
	Keys []string
	// Digest of what was shown.
	Digest string
	// Immutable tells that it is an immutable core Secret, and Retained are those that it took the place of and that are still there.
	Immutable bool
	Retained  []Retained
}

// Shown is what showing it came to.
type Shown struct {
	// Done tells that the target is as it is to be and that workloads are restarted, or will be (Unrestarted, maybe with an error that says why not now): status may say so.
	Done bool
	// Writes is how many times the target was written, or this was tried: each time it is whole in etcd, whatever was sent.
	Writes int
	// Keys that were written, but for those that somebody else has with the same value, and Digest of what is shown.
	Keys   []string
	Digest string
	// Healed names what was changed by somebody and written again, empty if nothing was.
	Healed string
	// Restarted are the workloads that were restarted.
	Restarted []string
	// Name of the core Secret or ConfigMap that shows it, and the former ones that are still there, in the order of their names. LookAgain is
	// when to see whether those are still used, 0 for never.
	Name      string
	Retained  []Retained
	LookAgain time.Duration
}

// Show removes what was shown elsewhere, writes the target and then, if the data is other than what status knows, restarts workloads. The
// fault says Conflict if the target is somebody else's or fought over, which may be with Done.
//
// Crash-safe: status is written after all of it, so a pass that ends between restarts again with the same token, which restarts nothing
// twice. A target that status knows and spec names no more is removed first, and is looked for again until status knows it no more.
func (p *Projector) Show(ctx context.Context, s *Showing) (shown Shown, err error) {
	if s.Target != nil {
		defer s.Target.wipe()
	}
	if err := p.losing(ctx, s); err != nil {
		return shown, err
	}
	if err := p.leave(ctx, s); err != nil {
		return shown, err
	}
	if s.Target == nil {
		p.Forget(s.Namespace, s.Owner)
		shown.Done = true
		return shown, nil
	}
	shown, err = p.show(ctx, s)
	if shown.Done && s.succeeds() {
		failed := p.succeed(ctx, s, &shown)
		shown.Done = failed == nil
		err = fault.Join(err, failed)
	}
	if s.tried {
		return shown, err
	}
	return shown, fault.Join(ValidateRestart(s.Restart), err)
}

// leave removes the target of an earlier kind or name. One that another takes the place of without a gap is left alone: see succeed.
func (p *Projector) leave(ctx context.Context, s *Showing) error {
	former := s.Former
	if former == nil || s.knows() || s.succeeds() && !former.ConfigMap {
		return nil
	}
	if former.isSuccession() {
		if err := p.removeAll(ctx, s); err != nil {
			return err
		}
	}
	what := &Target{ConfigMap: former.ConfigMap, Name: former.Name}
	var err error
	if former.ConfigMap {
		err = p.RemoveConfigMap(ctx, s.Namespace, former.Name, former.Keys, s.Owner)
	} else {
		err = p.Remove(ctx, s.Namespace, former.Name, s.Owner)
	}
	if err != nil {
		return fmt.Errorf("removing the former target, %s: %w", what.what(), err)
	}
	return nil
}

// knows tells whether status knows the target that is wanted.
func (s *Showing) knows() bool {
	return s.Target != nil && s.Former != nil && s.Former.ConfigMap == s.Target.ConfigMap && s.Former.Name == s.Target.Name
}

func (p *Projector) show(ctx context.Context, s *Showing) (shown Shown, err error) {
	t := s.Target
	if shown, err = p.settle(s); err != nil {
		return shown, err
	}
	if err := p.pace(ctx, s); err != nil {
		return shown, err
	}
	want := fmt.Sprintf("%d/%s", s.Generation, shown.Digest)
	now, err := p.hold(ctx, s, want)
	if err != nil {
		return shown, err
	}
	outcome, err := p.projectPaid(ctx, s, &shown)
	if err != nil {
		return shown, err
	}
	if shown.Keys, err = p.writtenKeys(ctx, s, outcome, shown.Digest); err != nil {
		return shown, err
	}
	changed := !s.knows() || s.Former.Digest != shown.Digest
	contested := p.counted(s, outcome, want)
	if outcome != Unchanged && !changed && now == peace {
		shown.Healed = t.what()
	}
	if changed && s.restarts(outcome) {
		return p.restarted(ctx, s, shown, contested)
	}
	shown.Done = true
	return shown, contested
}

// projectPaid writes the target when the namespace can afford it, and has it pay for what was written.
func (p *Projector) projectPaid(ctx context.Context, s *Showing, shown *Shown) (Outcome, error) {
	if err := p.afford(ctx, s, shown.Digest); err != nil {
		return Unchanged, err
	}
	outcome, err := p.Project(ctx, s.Target)
	shown.Writes = s.Target.writes
	p.pay(s, shown.Writes)
	return outcome, err
}

// restarted is what is shown once workloads are restarted, or with the restart still to come where there were many.
func (p *Projector) restarted(ctx context.Context, s *Showing, shown Shown, contested error) (Shown, error) {
	if wait := p.restarts.wait(s.contender(), s.token(shown.Digest), s.Now); wait > 0 {
		shown.Digest, shown.Done = Unrestarted, true
		return shown, fault.Join(contested, laterRestart(wait, s.Now))
	}
	s.tried = true
	restarted, err := p.restart(ctx, s, shown.Digest)
	shown.Restarted, shown.Done = restarted, true
	if err != nil { // what is written is to be taken away some day, whatever becomes of the restart, which is made again
		shown.Digest = Unrestarted
	}
	return shown, fault.Join(contested, err)
}

// settle says what the target is called, whose it is, and what tells its data from other data.
func (p *Projector) settle(s *Showing) (shown Shown, err error) {
	t := s.Target
	t.Namespace, t.Owner = s.Namespace, s.Owner
	ring, err := p.Keyring.Get()
	if err != nil {
		return shown, err
	}
	shown.Keys, shown.Digest = t.Keys(), ring.Digest("projection", t.parts(s.Wanted)...)
	if t.Immutable {
		s.base, t.Name = t.Name, immutableName(ring, t, shown.Digest)
	}
	shown.Name = t.Name
	if s.knows() {
		t.FormerKeys = s.Former.Keys
	}
	return shown, nil
}

// counted counts a write against the limit of heals. The ordinary first one is none.
func (p *Projector) counted(s *Showing, outcome Outcome, want string) (contested error) {
	if outcome == Unchanged || outcome == Created && s.Former == nil {
		return nil
	}
	return p.wrote(s, want)
}

// restarts tells whether workloads are to be restarted when the data has changed. A first projection into what was there already changes
// what they have read. One that an earlier pass wrote before it died is as it should be, so the outcome does not tell; the token makes
// repeating harmless.
func (s *Showing) restarts(outcome Outcome) bool {
	if s.Target.Immutable || s.succeeds() && !s.knows() { // they are switched to another name, which restarts them
		return false
	}
	return len(s.Restart) > 0 && (s.Former != nil || outcome != Created && s.Target.TakesWhatIsThere())
}

// restart restarts the workloads with a token that is a function of the data.
func (p *Projector) restart(ctx context.Context, s *Showing, digest string) ([]string, error) {
	restarted, err := p.Restart(ctx, Restart{
		Namespace: s.Namespace, SecretName: s.Owner.Field(), Token: s.token(digest), Now: s.Now, Targets: s.Restart,
	})
	if len(restarted) > 0 {
		p.restarts.note(s.contender(), s.token(digest), s.Now)
	}
	return restarted, err
}

// token names a restart for a content: a function of the data.
func (s *Showing) token(digest string) string { return s.Version + "." + digest[:8] }

func (s *Showing) contender() contender {
	return contender{namespace: s.Namespace, owner: s.Owner.kind() + "/" + s.Owner.Name, uid: s.Owner.UID}
}

// parts are what the digest of a target is of: whose it is, where, and the data in a fixed order, or what is told instead.
func (t *Target) parts(wanted string) [][]byte {
	parts := [][]byte{[]byte(t.Owner.ARN), []byte(t.Name), []byte(strings.Join(t.Keys(), "\x00"))}
	if t.ConfigMap {
		parts = slices.Insert(parts, 1, []byte(configMapKind))
	}
	if wanted != "" {
		return append(parts, []byte(wanted))
	}
	for _, k := range t.Keys() {
		parts = append(parts, t.Data[k].Reveal())
	}
	return parts
}

func (t *Target) wipe() {
	for _, v := range t.Data {
		v.Wipe()
	}
}
