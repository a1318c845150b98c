package hsmcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// unseen is how long an attempt to log in, whose end nobody saw, keeps other nodes from trying the same PIN while its node does not answer.
const unseen = 10 * time.Minute

var (
	errRefused = errors.New("the token refused the PIN")
	errUnseen  = errors.New("what came of the last login is not known")
)

// decideLogin names the node that logs in next, of those that wait in the order of their numbers. The nodes have one token, so at most one of them tries a wrong PIN: same tells that
// the last attempt was with the PIN of now, and answering are all nodes that answer.
func decideLogin(last *cloudhsm.PINAttempt, same bool, waiting, answering []string, now time.Time) (next string, err error) {
	switch {
	case last == nil || !same || last.Done:
		return waiting[0], nil
	case last.Refused:
		return "", errRefused
	case slices.Contains(waiting, last.Node): // it knows whether it has tried it
		return last.Node, nil
	case slices.Contains(answering, last.Node): // it is logged in
		return waiting[0], nil
	}
	if age := now.Sub(last.Time.Time); age >= 0 && age < unseen {
		return "", fmt.Errorf("%w: node %s was told to log in and does not answer; the others try the PIN when it does, or in %s", errUnseen, last.Node, (unseen - age).Round(time.Second))
	}
	return waiting[0], nil
}

// logIn lets the nodes of a shared token log in that are not, and answers what they say after it.
func (r *Reconciler) logIn(ctx context.Context, p *pass, h *hsmclient.Health) (*hsmclient.Health, error) {
	waiting, answering := waitingToLogIn(p, h)
	if len(waiting) == 0 {
		return h, nil
	}
	err := r.logInEach(ctx, p, waiting, answering)
	after := p.client.Check(ctx)
	if err != nil {
		p.health = &after
		return nil, err
	}
	return &after, nil
}

// logInEach lets them log in one after the other. A PIN that the token refuses is tried once by all of them together.
//
// Crash-safe: that a node is told is on record before it is.
func (r *Reconciler) logInEach(ctx context.Context, p *pass, waiting, answering []string) error {
	pin, err := r.userPIN(ctx, p)
	if err != nil {
		return err
	}
	defer pin.Wipe()
	var behind error
	for len(waiting) > 0 {
		attempt, err := r.nextAttempt(p, pin, waiting, answering)
		if err != nil {
			return r.notLoggedIn(p, err)
		}
		waiting = slices.DeleteFunc(waiting, func(name string) bool { return name == attempt.Node })
		switch err := r.logInOne(ctx, p, attempt); {
		case errors.Is(err, hsm.ErrOtherPIN): // it was not tried, so the next may
			behind = errors.Join(behind, fmt.Errorf("node %s: %w", attempt.Node, err))
		case err != nil:
			return r.notLoggedIn(p, err)
		}
	}
	if behind != nil {
		return r.notLoggedIn(p, behind)
	}
	return nil
}

// waitingToLogIn are the names of the nodes that are not logged in, and of all that answer.
func waitingToLogIn(p *pass, h *hsmclient.Health) (waiting, answering []string) {
	for i, n := range h.Nodes {
		if n.Status == nil {
			continue
		}
		answering = append(answering, p.nodes[i].Name)
		if n.Status.GetState() == hsmpb.State_STATE_UNINITIALIZED {
			waiting = append(waiting, p.nodes[i].Name)
		}
	}
	return waiting, answering
}

func (r *Reconciler) nextAttempt(p *pass, pin secretbytes.Bytes, waiting, answering []string) (next cloudhsm.PINAttempt, err error) {
	last := p.credentials.Attempt
	same := false
	if last != nil {
		if same, err = last.Is(pin); err != nil {
			return next, err
		}
	}
	name, err := decideLogin(last, same, waiting, answering, p.now)
	if err != nil {
		return next, err
	}
	next = cloudhsm.PINAttempt{Node: name, Time: metav1.NewTime(p.now)}
	if same {
		next.PINDigest = last.PINDigest
		return next, nil
	}
	next.PINDigest, err = hsm.DigestPIN(pin)
	return next, err
}

// logInOne tells a node to log in, and keeps what came of it.
func (r *Reconciler) logInOne(ctx context.Context, p *pass, attempt cloudhsm.PINAttempt) error {
	at := slices.IndexFunc(p.nodes, func(n hsmnodes.Node) bool { return n.Name == attempt.Node })
	api, err := p.client.Node(p.nodes[at].Address)
	if err != nil {
		return err
	}
	if err := r.recordAttempt(ctx, p, attempt); err != nil {
		return err
	}
	failed := api.LogIn(ctx, attempt.PINDigest)
	attempt.Done, attempt.Refused = failed == nil || errors.Is(failed, hsm.ErrOtherPIN), errors.Is(failed, hsm.ErrWrongPIN)
	if attempt.Done || attempt.Refused {
		err = r.recordAttempt(ctx, p, attempt)
	}
	if failed != nil {
		failed = fmt.Errorf("logging in at node %s: %w", attempt.Node, failed)
	}
	return errors.Join(failed, err)
}

func (r *Reconciler) recordAttempt(ctx context.Context, p *pass, attempt cloudhsm.PINAttempt) error {
	p.credentials.Attempt = &attempt
	return r.Clusters.RecordPINAttempt(ctx, p.cluster.Status.ClusterID, attempt)
}

// notLoggedIn says that nodes wait for a right PIN, or for a node.
func (r *Reconciler) notLoggedIn(p *pass, err error) error {
	if errors.Is(err, errRefused) || errors.Is(err, hsm.ErrWrongPIN) {
		ref := p.cluster.Spec.PKCS11.PINSecretRef
		err = fmt.Errorf("%w; key %q of core Secret %s/%s is not tried again, by any node, before it is another PIN, so that the token is not locked", err, ref.Key, p.cluster.Namespace, ref.Name)
	}
	return fault.Waiting(v1alpha1.ReasonNodesUnavailable, err)
}
