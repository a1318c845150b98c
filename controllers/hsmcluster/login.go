package hsmcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

var (
	errRefused = errors.New("the token refused the PIN")
	errUnseen  = errors.New("what came of the last login is not known")
	errTheirs  = errors.New("the token took another PIN last, of other HSMClusters")
	errSpent   = fmt.Errorf("%d PINs in a row were tried that the token did not take", cloudhsm.MaximumTries)
)

// login is what the decision about the next login knows.
type login struct {
	// record of the token, and digest of the PIN of now.
	record *cloudhsm.PINRecord
	digest []byte
	// cluster is this one, and there are those that name the token, by their identities.
	cluster string
	there   []string
	// ready are the nodes that are not logged in and have the PIN, in the order of their numbers, and loggedIn those that are.
	ready, loggedIn []string
	now             time.Time
}

// decideLogin names the node that logs in next. The nodes of all HSMClusters that name a token have it together, so at most one of them tries a wrong PIN, and few are tried in a row.
func decideLogin(l login) (next string, err error) {
	if last := l.record.Find(l.digest); last != nil {
		if next, err = l.after(last); next != "" || err != nil {
			return next, err
		}
	}
	switch {
	case l.record.TakenByOthers(l.cluster, l.there):
		return "", errTheirs
	case l.record.Tries >= cloudhsm.MaximumTries:
		return "", errSpent
	}
	return l.ready[0], nil
}

// after is the decision where the PIN of now was tried before; neither if that tells nothing any more.
func (l *login) after(last *cloudhsm.TriedPIN) (next string, err error) {
	own := last.Open && last.Cluster == l.cluster
	switch {
	case last.Refused:
		return "", errRefused
	case own && slices.Contains(l.ready, last.Node): // it knows whether it has tried it
		return last.Node, nil
	case own && slices.Contains(l.loggedIn, last.Node):
		return l.ready[0], nil
	case last.Open:
		if age := last.Since(l.now); age >= 0 && age < cloudhsm.Unseen {
			return "", waitFor(last, own)
		}
	}
	if last.Taken {
		return l.ready[0], nil
	}
	return "", nil
}

// waitFor names the node that was told, unless it is none of this cluster's users' business. It says when, and not how long ago, so that it says the same as long as nothing changes.
func waitFor(last *cloudhsm.TriedPIN, own bool) error {
	node := "a node of another HSMCluster, or of a former one of this name,"
	if own {
		node = "node " + last.Node
	}
	return fmt.Errorf("%w: %s was told to log in and does not answer; the others try the PIN when it does, or at %s", errUnseen, node, last.Time.Add(cloudhsm.Unseen).UTC().Format(time.RFC3339))
}

// logIn lets the nodes of a shared token log in that are not, and answers what they say after it.
func (r *Reconciler) logIn(ctx context.Context, p *pass, h *hsmclient.Health) (*hsmclient.Health, error) {
	waiting, loggedIn := waitingToLogIn(p, h)
	if len(waiting) == 0 {
		return h, nil
	}
	err := r.logInEach(ctx, p, waiting, loggedIn)
	after := p.client.Check(ctx)
	if err != nil {
		p.health = &after
		return nil, err
	}
	return &after, nil
}

// waitingToLogIn are the names of the nodes that are not logged in, and of those that are.
func waitingToLogIn(p *pass, h *hsmclient.Health) (waiting, loggedIn []string) {
	for i, n := range h.Nodes {
		switch n.Status.GetState() {
		case hsmpb.State_STATE_UNINITIALIZED:
			waiting = append(waiting, p.nodes[i].Name)
		case hsmpb.State_STATE_INITIALIZED, hsmpb.State_STATE_ACTIVE:
			loggedIn = append(loggedIn, p.nodes[i].Name)
		case hsmpb.State_STATE_UNSPECIFIED, hsmpb.State_STATE_STARTING, hsmpb.State_STATE_DEGRADED: // whether it has tried cannot be told
		}
	}
	return waiting, loggedIn
}

// logInEach lets them log in one after the other. A PIN that the token refuses is tried once by the nodes of all HSMClusters together.
//
// Crash-safe: that a node is told is on record before it is. A pass in which no node may try a PIN writes nothing.
func (r *Reconciler) logInEach(ctx context.Context, p *pass, waiting, loggedIn []string) error {
	pin, err := r.userPIN(ctx, p)
	if err != nil {
		return err
	}
	defer pin.Wipe()
	token := r.tokenOf(p.cluster)
	l := login{cluster: cloudhsm.Identity(p.cluster), loggedIn: loggedIn, now: p.now}
	if l.there, err = r.naming(ctx, token); err != nil {
		return err
	}
	if l.record, err = r.Clusters.PINRecord(ctx, token); err != nil {
		return err
	}
	meant, err := hsm.DigestPINWith(pin, l.record.Salt)
	if err != nil {
		return err
	}
	l.digest = meant.Digest
	ready, behind := r.havingPIN(ctx, p, waiting, meant)
	for l.ready = ready; len(l.ready) > 0; {
		name, err := decideLogin(l)
		if err == nil {
			l.ready = slices.DeleteFunc(l.ready, func(other string) bool { return other == name })
			err = r.logInOne(ctx, p, &l, name)
		}
		switch {
		case errors.Is(err, hsm.ErrOtherPIN): // it was not tried, so the next may
			behind = errors.Join(behind, err)
		case err != nil:
			return r.notLoggedIn(p, err)
		}
	}
	if behind != nil {
		return r.notLoggedIn(p, behind)
	}
	return nil
}

// tokenOf is the token of a cluster, whichever of its library's paths it names.
func (r *Reconciler) tokenOf(hc *v1alpha1.HSMCluster) cloudhsm.Token {
	token := cloudhsm.TokenOf(hc)
	token.Library = r.Host.Module(token.Library)
	return token
}

// naming are the HSMClusters that name a token and may have nodes that log in to it, by their identities. One that the operator no longer lets use the token is nobody to
// wait for, and neither is one without nodes.
func (r *Reconciler) naming(ctx context.Context, token cloudhsm.Token) (there []string, err error) {
	var list v1alpha1.HSMClusterList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing HSMClusters: %w", err)
	}
	for i := range list.Items {
		hc := &list.Items[i]
		ready := meta.FindStatusCondition(hc.Status.Conditions, v1alpha1.ConditionReady)
		refused := ready != nil && ready.Reason == v1alpha1.ReasonLibraryNotAllowed
		if hc.Spec.PKCS11 != nil && r.tokenOf(hc) == token && !refused && wanted(hc).Size > 0 {
			there = append(there, cloudhsm.Identity(hc))
		}
	}
	return there, nil
}

// havingPIN are the nodes whose files have the PIN, and why the others are not among them: a mounted file may be a minute older than the core Secret that it is of. Nothing is tried.
func (r *Reconciler) havingPIN(ctx context.Context, p *pass, waiting []string, meant hsm.PINDigest) (ready []string, behind error) {
	for _, name := range waiting {
		has := false
		api, err := r.node(p, name)
		if err == nil {
			has, err = api.HasPIN(ctx, meant)
		}
		switch {
		case err != nil:
			behind = errors.Join(behind, fmt.Errorf("node %s: %w", name, err))
		case !has:
			behind = errors.Join(behind, fmt.Errorf("node %s: %w: its files are older or newer; it was not tried", name, hsm.ErrOtherPIN))
		default:
			ready = append(ready, name)
		}
	}
	return ready, behind
}

func (r *Reconciler) node(p *pass, name string) (hsmclient.Node, error) {
	at := slices.IndexFunc(p.nodes, func(n hsmnodes.Node) bool { return n.Name == name })
	return p.client.Node(p.nodes[at].Address)
}

// logInOne tells a node to log in, and keeps what came of it.
func (r *Reconciler) logInOne(ctx context.Context, p *pass, l *login, name string) error {
	api, err := r.node(p, name)
	if err != nil {
		return err
	}
	token, try := r.tokenOf(p.cluster), cloudhsm.TriedPIN{Digest: l.digest, Cluster: l.cluster, Node: name, Time: metav1.NewTime(l.now)}
	if err := r.Clusters.BeginPIN(ctx, token, l.record, &try); err != nil {
		return err
	}
	failed := api.LogIn(ctx, hsm.PINDigest{Salt: l.record.Salt, Digest: l.digest})
	outcome, known := outcomeOf(failed)
	if known {
		l.record, err = r.Clusters.EndPIN(ctx, token, l.record, try, outcome, l.there)
	}
	if failed != nil {
		failed = fmt.Errorf("logging in at node %s: %w", name, failed)
	}
	return errors.Join(failed, err)
}

// outcomeOf is what a node's answer says of a try, if it says it.
func outcomeOf(err error) (outcome cloudhsm.Outcome, known bool) {
	switch {
	case err == nil:
		return cloudhsm.PINTaken, true
	case errors.Is(err, hsm.ErrWrongPIN):
		return cloudhsm.PINRefused, true
	case errors.Is(err, hsm.ErrOtherPIN):
		return cloudhsm.PINNotTried, true
	}
	return 0, false
}

// notLoggedIn says that nodes wait for a right PIN, or for a node.
func (r *Reconciler) notLoggedIn(p *pass, err error) error {
	ref := p.cluster.Spec.PKCS11.PINSecretRef
	pin := fmt.Sprintf("key %q of core Secret %s/%s", ref.Key, p.cluster.Namespace, ref.Name)
	switch {
	case errors.Is(err, errRefused), errors.Is(err, hsm.ErrWrongPIN):
		err = fmt.Errorf("%w; %s is not tried again, by any node, before it is another PIN, so that the token is not locked", err, pin)
	case errors.Is(err, errTheirs):
		err = fmt.Errorf("%w, so %s is not tried: give it the PIN that they have, or let them log in with this one first", err, pin)
	case errors.Is(err, errSpent):
		err = fmt.Errorf("%w, so %s is not tried, before the token is locked: log in with the right one by the vendor's tools, then let who runs Strongroom delete core Secret %s/%s, which counts them",
			err, pin, r.Clusters.Namespace, r.tokenOf(p.cluster).RecordName())
	}
	return fault.Waiting(v1alpha1.ReasonNodesUnavailable, err)
}
