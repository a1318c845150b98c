package secret

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	corerotation "strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/rotation"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// testRotation tests a rotator that is new or another, so that a bad configuration is seen when it is made and not when the first rotation
// is due. As in AWS it is the step testSecret alone: a built-in rotator logs in with the version in force; a function or a Job is given a
// copy of it under AWSPENDING, which is taken away again.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
//
// Crash-safe: nothing but the copy is written before the end of the pass, and the id of the copy is committed before it is made, so that
// no pass takes it for a version that a rotation brings in.
func (r *Reconciler) testRotation(ctx context.Context, p *pass) error {
	if !p.testing() {
		decision := decideTest(p.testInput())
		if !decision.due {
			if !decision.at.IsZero() {
				p.lookAgain(decision.at.Sub(p.now))
			}
			return nil
		}
	}
	if p.secret.Spec.Rotation.ByJob() == nil { // nothing waits for a Job
		release, wait := r.slot(p)
		if release == nil {
			p.lookAgain(wait)
			return nil
		}
		defer release()
	}
	if p.secret.Spec.Rotation.MakesVersions() {
		return r.testByCopy(ctx, p)
	}
	return r.testByLogin(ctx, p)
}

// testByLogin logs in with the version in force. One that the server takes no more is dead for workloads too: if that can be healed, it is
// not waited for the next window.
func (r *Reconciler) testByLogin(ctx context.Context, p *pass) error {
	rotator := r.Rotations.Of(p.secret)
	user, err := rotator.Verify(ctx, p.rotation())
	drift := p.drift(err)
	heals := drift.heals()
	if drift.drifted && drift.fought() {
		err = fault.Stalled(v1alpha1.ReasonCredentialDrift, fmt.Errorf("%w. It was set afresh on %s already, so that somebody else sets it too, and it is left as it is: "+
			"no two installations, and no two Secrets, may rotate one user", err, drift.healed.UTC().Format(time.RFC3339)))
	}
	current, _ := p.index.ByStage(versions.Current)
	if err == nil {
		test := p.lastTest()
		test.PassedUser = p.passedUser(user)
		p.secret.Status.RotationTest = &test
	}
	if r.tested(p, current.ID, err); !heals {
		return nil
	}
	p.lookAgain(time.Second) // the schedule is counted from now on
	return r.carryOut(ctx, p, rotator, triggerDrifted)
}

// drift is what a test came to, and what may be done about it.
func (p *pass) drift(err error) *driftInput {
	current, _ := p.index.ByStage(versions.Current)
	spec := p.secret.Spec.Rotation.Database()
	return &driftInput{
		drifted: err != nil && fault.Of(err).Reason == v1alpha1.ReasonCredentialDrift, policy: spec.DriftPolicy, admin: spec.AdminSecretRef != nil,
		current: current.ID, passed: p.lastTest().PassedVersionID, healed: p.lastHealed(), now: p.now,
	}
}

// lastHealed is when a drift was last healed, zero for never.
func (p *pass) lastHealed() time.Time {
	if at := p.lastTest().HealedTime; at != nil {
		return at.Time
	}
	return time.Time{}
}

// testByCopy has a function or a Job carry out testSecret with a copy of the version in force.
func (r *Reconciler) testByCopy(ctx context.Context, p *pass) error {
	if err := r.makeCopy(ctx, p); err != nil {
		return err
	}
	id := p.secret.Status.RotationTest.PendingVersionID
	done, failed := r.callTest(ctx, p, id)
	if !done && failed == nil {
		p.lookAgain(jobCheck)
		return nil
	}
	if err := r.reread(ctx, p); err != nil {
		return err
	}
	if !p.testing() || p.secret.Status.RotationTest.PendingVersionID != id {
		return nil // it was given up meanwhile
	}
	run := p.testRun()
	p.giveUpTest()
	r.tested(p, p.lastTest().VersionID, failed)
	if failed == nil && p.secret.Spec.Rotation.ByJob() != nil {
		return r.Rotations.DeleteJob(ctx, p.secret, run)
	}
	return nil
}

// makeCopy commits the id of the copy, and then the copy.
func (r *Reconciler) makeCopy(ctx context.Context, p *pass) error {
	if !p.testing() {
		if err := p.beginTest(); err != nil {
			return err
		}
		if err := r.checkpoint(ctx, p); err != nil {
			return err
		}
	}
	id := p.secret.Status.RotationTest.PendingVersionID
	if _, stored := p.index.ByID(id); stored {
		return nil
	}
	if err := r.copyCurrent(ctx, p, id); err != nil {
		return err
	}
	return r.checkpoint(ctx, p)
}

// callTest calls the function, or sees that there is a Job and whether it has ended.
func (r *Reconciler) callTest(ctx context.Context, p *pass, id string) (done bool, err error) {
	if p.secret.Spec.Rotation.ByJob() != nil {
		return r.Rotations.RunJob(ctx, p.rotation(), p.testRun())
	}
	return true, r.Rotations.Invoke(ctx, p.rotation(), corerotation.StepTest, id)
}

// copyCurrent stores the value in force once more, under AWSPENDING.
func (r *Reconciler) copyCurrent(ctx context.Context, p *pass, id string) error {
	current, _ := p.index.ByStage(versions.Current)
	found, err := r.Secrets.Versions().Fetch(ctx, p.subject(), current)
	if err != nil {
		return err
	}
	value, err := r.Secrets.Versions().Open(ctx, found)
	if err != nil {
		return err
	}
	defer value.Wipe()
	key, err := r.key(ctx, p)
	if err != nil {
		return err
	}
	version, _, err := r.Secrets.Put(ctx, p.subject(), sealed.Content{
		ID: id, Sequence: p.index.Last() + 1, Stages: []string{versions.Pending}, Key: key, Value: value, Binary: found.Envelope.Spec.Binary,
	})
	if err != nil {
		return err
	}
	if version.ID != id {
		return fmt.Errorf("version %s was stored meanwhile", version.ID) // and is taken up by the next pass
	}
	p.index = p.index.Add(version)
	p.secret.Status.RotationTest.VersionID = current.ID
	return nil
}

// beginTest names the copy.
func (p *pass) beginTest() error {
	id, err := sealed.NewID(nil)
	if err != nil {
		return err
	}
	test := p.lastTest()
	test.PendingVersionID, test.Time = id, metav1.NewTime(p.now).Rfc3339Copy()
	p.secret.Status.RotationTest = &test
	return nil
}

// testing tells that a function or a Job is tested.
func (p *pass) testing() bool { return secretsmanager.TestVersion(p.secret) != "" }

// giveUpTest ends a test: the copy of the version in force has no stage any more.
func (p *pass) giveUpTest() {
	if !p.testing() {
		return
	}
	test := p.secret.Status.RotationTest
	if without, err := p.index.Move(versions.Pending, test.PendingVersionID, ""); err == nil { // it holds it
		p.index = without
	}
	test.PendingVersionID = ""
}

// testRun is the Job of a test: of no rotation, and each test has a version of its own.
func (p *pass) testRun() rotation.JobRun {
	test := p.secret.Status.RotationTest
	return rotation.JobRun{VersionID: test.PendingVersionID, Started: test.Time.Time, Step: corerotation.StepTest, Now: p.now}
}

// lastTest is the last test, with nothing in it if there is none.
func (p *pass) lastTest() v1alpha1.RotationTestStatus {
	if p.secret.Status.RotationTest == nil {
		return v1alpha1.RotationTestStatus{}
	}
	return *p.secret.Status.RotationTest
}

// tested notes what a test with a version came to, and when the next is made. The version in force is in force whatever it says.
func (r *Reconciler) tested(p *pass, id string, err error) {
	test := p.lastTest()
	test.Configuration, test.VersionID, test.Time = configurationOf(p.secret.Spec.Rotation), id, metav1.NewTime(p.now).Rfc3339Copy()
	if err == nil {
		test.PassedVersionID, test.Attempts = id, 0
		meta.RemoveStatusCondition(&p.secret.Status.Conditions, v1alpha1.ConditionRotationFailing)
	} else {
		test.Attempts++
		r.tellFailing(p, corerotation.StepTest, err)
	}
	countTest(p.secret, err)
	p.secret.Status.RotationTest = &test
	in := p.testInput()
	in.asked = false // it was heeded by this test
	if next := decideTest(in); !next.at.IsZero() {
		p.lookAgain(next.at.Sub(p.now))
	}
}

// rotated notes a rotation that came to its end, which has tested all that a test does.
func (p *pass) rotated(user string) {
	current, _ := p.index.ByStage(versions.Current)
	p.secret.Status.RotationTest = &v1alpha1.RotationTestStatus{
		Configuration: configurationOf(p.secret.Spec.Rotation), Time: metav1.NewTime(p.now).Rfc3339Copy(), VersionID: current.ID, PassedVersionID: current.ID, PassedUser: p.passedUser(user),
		HealedTime: p.lastTest().HealedTime,
	}
}

// passedUser is the user that an admin may heal, when one has logged in. It stays as it is for as long as spec.rotation does: who puts values may so not make another's user the
// secret's by a password that is good once.
func (p *pass) passedUser(now string) string {
	if last := p.lastTest(); last.PassedUser != "" && last.Configuration == configurationOf(p.secret.Spec.Rotation) {
		return last.PassedUser
	}
	return now
}

// settleTest gives up a test whose secret is being rotated, or by no such rotator any more.
func (p *pass) settleTest(why trigger) {
	if why != triggerNone || !p.testable() || !p.secret.Spec.Rotation.MakesVersions() {
		p.giveUpTest()
	}
	if !p.secret.Spec.Rotation.Rotator() {
		p.secret.Status.RotationTest = nil
	}
}

// testable tells that there is a rotator, and a version in force to test it with while it does nothing else.
func (p *pass) testable() bool {
	_, has := p.index.ByStage(versions.Current)
	return has && p.secret.Spec.Rotation.Rotator() && p.secret.Spec.Rotation.IsEnabled() && !p.goesOn()
}

func (p *pass) testInput() testInput {
	current, _ := p.index.ByStage(versions.Current)
	in := testInput{
		able: p.testable(), current: current.ID, last: p.secret.Status.RotationTest, now: p.now,
		asked: p.asked() || p.former.ObservedGeneration != p.secret.Generation,
	}
	if !in.able {
		return in
	}
	in.configuration, in.seed = configurationOf(p.secret.Spec.Rotation), string(p.secret.UID)
	database := p.secret.Spec.Rotation.Database()
	in.repeated = database != nil && database.DriftPolicy != v1alpha1.DriftIgnore
	failing := meta.FindStatusCondition(p.secret.Status.Conditions, v1alpha1.ConditionRotationFailing)
	in.refused = failing != nil && (failing.Reason == v1alpha1.ReasonCredentialDrift || failing.Reason == v1alpha1.ReasonLoginRefused)
	return in
}

// configurationOf is a digest of a rotator: of all that spec.rotation says but when it rotates, and what of drift.
func configurationOf(spec *v1alpha1.SecretRotation) string {
	rotator := spec.DeepCopy()
	rotator.Enabled, rotator.Schedule, rotator.Duration = nil, "", ""
	if database := rotator.Database(); database != nil {
		database.DriftPolicy = ""
	}
	text, err := json.Marshal(rotator)
	if err != nil { // a struct of texts and numbers
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
