package secret

import (
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestWhatIsDoneAboutARegion(t *testing.T) {
	free := func(change func(*replicaInput)) replicaInput {
		in := replicaInput{region: "eu-west-1", name: "db", served: true}
		change(&in)
		return in
	}
	taken := func(change func(*replicaInput)) replicaInput {
		return free(func(in *replicaInput) { in.taken = true; change(in) })
	}
	const different = "currently replicated to eu-west-1 with a different arn"
	for name, tt := range map[string]struct {
		in   replicaInput
		want replicaAction
		why  string
	}{
		"where nothing has the name the replica is made": {free(func(*replicaInput) {}), replicaCreate, ""},
		"and also by force":                                            {free(func(in *replicaInput) { in.force = true }), replicaCreate, ""},
		"the secret's own region is none":                              {free(func(in *replicaInput) { in.own = true }), 0, "own region"},
		"nor one that is not served":                                   {free(func(in *replicaInput) { in.served = false }), 0, "--regions"},
		"a replica that is there stays":                                {taken(func(in *replicaInput) { in.mine, in.sibling = true, true }), replicaKeep, ""},
		"and by force too":                                             {taken(func(in *replicaInput) { in.mine, in.sibling, in.force = true, true, true }), replicaKeep, ""},
		"one that was promoted is not touched":                         {taken(func(in *replicaInput) { in.sibling = true }), 0, "promoted"},
		"nor by force":                                                 {taken(func(in *replicaInput) { in.sibling, in.force = true, true }), 0, "promoted"},
		"nor by force if it is replicated since":                       {taken(func(in *replicaInput) { in.sibling, in.force, in.replicated = true, true, true }), 0, "promoted"},
		"another secret is not overwritten":                            {taken(func(*replicaInput) {}), 0, "already exists in region eu-west-1"},
		"but by force":                                                 {taken(func(in *replicaInput) { in.force = true }), replicaOverwrite, ""},
		"one that is replicated is not, by force either":               {taken(func(in *replicaInput) { in.replicated, in.force = true, true }), 0, different},
		"the replica of an earlier secret of the object's name is not": {taken(func(in *replicaInput) { in.stale = true }), 0, different},
		"but by force, for its primary is gone":                        {taken(func(in *replicaInput) { in.stale, in.force = true, true }), replicaOverwrite, ""},
	} {
		got, why := decideReplica(tt.in)
		if got != tt.want || (tt.why == "") != (why == "") || !strings.Contains(why, tt.why) {
			t.Errorf("%s: %v, %q", name, got, why)
		}
	}
}

func TestWhatStatusSaysOfARegion(t *testing.T) {
	const region = "eu-west-1"
	version := v1alpha1.SecretVersion{VersionID: strings.Repeat("1", 32), Sequence: 1, Stages: []string{v1alpha1.StageCurrent}}
	primary := func(before v1alpha1.ReplicationState) *v1alpha1.Secret {
		s := &v1alpha1.Secret{Status: v1alpha1.SecretStatus{Versions: []v1alpha1.SecretVersion{version}}}
		if before != "" {
			s.Status.Replication = []v1alpha1.ReplicationStatus{{Region: region, State: before, SecretName: "r", Message: "before"}}
		}
		return s
	}
	replica := func(reason string, versions ...v1alpha1.SecretVersion) *v1alpha1.Secret {
		s := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Status: v1alpha1.SecretStatus{ARN: "arn", Versions: versions}}
		if reason != "" {
			s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: "because"}}
		}
		return s
	}
	for name, tt := range map[string]struct {
		primary, replica *v1alpha1.Secret
		failed           error
		want             v1alpha1.ReplicationState
		message          string
	}{
		"one that is made is in progress":                   {primary(""), replica(""), nil, v1alpha1.ReplicationInProgress, ""},
		"one that has all versions is in sync":              {primary("InProgress"), replica("", version), nil, v1alpha1.ReplicationInSync, ""},
		"one that lags a version behind still is":           {primary("InSync"), replica(""), nil, v1alpha1.ReplicationInSync, ""},
		"a target that fails is no matter of replication":   {primary("InProgress"), replica(v1alpha1.ReasonConflict, version), nil, v1alpha1.ReplicationInSync, ""},
		"one that cannot get a version fails":               {primary("InSync"), replica(v1alpha1.ReasonKeyNotFound), nil, v1alpha1.ReplicationFailed, "Replication failed: because"},
		"one that waits for a controller does not":          {primary("InProgress"), replica(v1alpha1.ReasonPending), nil, v1alpha1.ReplicationInProgress, ""},
		"one that was not made fails":                       {primary("InSync"), nil, errors.New("no"), v1alpha1.ReplicationFailed, "Replication failed: no"},
		"what fails and is mended is in progress":           {primary("Failed"), replica(""), nil, v1alpha1.ReplicationInProgress, ""},
		"a message without an end is cut to what has room":  {primary(""), nil, errors.New(strings.Repeat("é", 5000)), v1alpha1.ReplicationFailed, "Replication failed: é"},
		"another object in the place of one is in progress": {primary("InSync"), &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, nil, v1alpha1.ReplicationInProgress, ""},
	} {
		got := noteRegion(tt.primary, tt.replica, region, tt.failed)
		if got.Region != region || got.State != tt.want || !strings.HasPrefix(got.Message, tt.message) || (tt.message == "") != (got.Message == "") || len(got.Message) > 1024 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
