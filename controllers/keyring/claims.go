package keyring

import (
	"context"
	"fmt"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// What epoch an Envelope names is the claim of whoever may write Envelopes in its namespace, who may be a tenant. It is believed where Strongroom's own namespace has a
// record that there was such a domain key: the Keyring's status, which names the newest from when it is made; a domain key that is stored; or an Envelope there. A claim of a
// later epoch than those no manager has made, and so it stops nothing: it is told as damage.
//
// A Keyring of which nothing is noted is no such record: it was made anew, as in a cluster into which a backup was put, by hand perhaps and not whole. There a domain key may
// really be missing that nothing but the Envelopes of others tells of, and another in its place would keep it from coming back. So such a Keyring believes them, until what
// they name is there or they are gone. From then on it knows better.

// looking is how long all Envelopes are not looked at again while a rewrap makes a pass every two seconds, and while there are claims how soon they are.
const looking = 30 * time.Second

// claimed answers the epoch of the newest domain key that there was, and tells the pass of what names a later one.
func (r *Reconciler) claimed(ctx context.Context, p *pass) (newest int64, err error) {
	status, current := &p.keyring.Status, p.ring.CurrentEpoch()
	if rewrap := status.Rewrap; r.looked.IsZero() || rewrap == nil || rewrap.CompletedTime != nil || p.now.Sub(r.looked) >= looking {
		if r.after, err = r.Store.After(ctx, current); err != nil {
			return 0, err
		}
		r.looked = p.now
	}
	newest = max(current, status.CurrentEpoch)
	if len(r.after) == 0 {
		return newest, nil
	}
	stored, err := r.Store.DomainKeys(ctx, r.Namespace)
	if err != nil {
		return 0, err
	}
	newest, p.claims = decideClaims(newest, r.Namespace, stored, r.after)
	if len(p.claims) > 0 && status.CurrentEpoch == 0 {
		return 0, missing("%d Envelopes are under domain keys that are not there: %s. Nothing is noted of this Keyring yet, so that they may have been there: restore them from a backup, "+
			"or delete those Envelopes, which nothing opens", len(p.claims), names(namesOf(p.claims)))
	}
	return newest, nil
}

// decideClaims tells what names a later epoch than that of any domain key that there was, by the newest that is known and what Strongroom's own namespace has, and the newest.
func decideClaims(known int64, own string, stored, after []v1alpha1.Envelope) (newest int64, claims []v1alpha1.Envelope) {
	made := known
	for i := range stored {
		made = max(made, stored[i].Spec.Sequence)
	}
	newest = known
	for i := range after {
		epoch := store.Epoch(after[i].Spec.KeyARN)
		if after[i].Namespace == own || epoch <= made {
			newest = max(newest, epoch)
		}
	}
	for i := range after {
		if store.Epoch(after[i].Spec.KeyARN) > max(made, newest) {
			claims = append(claims, after[i])
		}
	}
	return newest, claims
}

// missing says that a domain key is missing. It is looked for again soon, although the watch tells of what is restored or deleted.
func missing(format string, arguments ...any) error {
	return fault.Contested(v1alpha1.ReasonEnvelopeMissing, fmt.Errorf("%w: "+format, append([]any{store.ErrMissing}, arguments...)...))
}

func namesOf(envelopes []v1alpha1.Envelope) (out []string) {
	for i := range envelopes {
		out = append(out, envelopes[i].Namespace+"/"+envelopes[i].Name)
	}
	return out
}
