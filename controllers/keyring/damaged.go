package keyring

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// damage is what this process knows of an Envelope that did not open.
type damage struct {
	// generation that did not open, and when that was tried last.
	generation int64
	tried      time.Time
	// told tells that there was an event.
	told bool
}

// isDamaged tells whether an Envelope did not open as it is, so that it need not be tried again at once.
func (r *Reconciler) isDamaged(e *v1alpha1.Envelope, now time.Time) bool {
	d, known := r.damaged[e.UID]
	return known && d.generation == e.Generation && now.Sub(d.tried) < unopened
}

// damage notes that an Envelope did not open as it is.
func (r *Reconciler) damage(e *v1alpha1.Envelope, now time.Time) {
	if r.damaged == nil {
		r.damaged = map[types.UID]damage{}
	}
	was := r.damaged[e.UID]
	r.damaged[e.UID] = damage{generation: e.Generation, tried: now, told: was.told && was.generation == e.Generation}
}

// count tells a pass what of former generations is damaged, whether or not this pass tried it, and what names a domain key that there has not been, and forgets all else.
func (r *Reconciler) count(p *pass, former []generation) {
	seen := map[types.UID]bool{}
	see := func(e *v1alpha1.Envelope) {
		d, known := r.damaged[e.UID]
		if !known || d.generation != e.Generation {
			return
		}
		seen[e.UID] = true
		p.damaged = append(p.damaged, e.Namespace+"/"+e.Name)
		if !d.told {
			p.untold = append(p.untold, e.Namespace+"/"+e.Name)
			p.telling = append(p.telling, e.UID)
		}
	}
	for i := range former {
		for j := range former[i].envelopes {
			see(&former[i].envelopes[j])
		}
	}
	for i := range p.claims {
		r.damage(&p.claims[i], time.Time{}) // which nobody has tried: it is, as soon as there is such a domain key
		see(&p.claims[i])
	}
	damagedEnvelopes.Set(float64(len(p.damaged)))
	for uid := range r.damaged {
		if !seen[uid] {
			delete(r.damaged, uid)
		}
	}
	slices.Sort(p.damaged)
	slices.Sort(p.untold)
}

// told notes that there was an event of what a pass found damaged.
func (r *Reconciler) told(p *pass) {
	for _, uid := range p.telling {
		d := r.damaged[uid]
		d.told = true
		r.damaged[uid] = d
	}
}

// names are some of the Envelopes that do not open.
func names(damaged []string) string {
	text := strings.Join(damaged[:min(len(damaged), maximumNames)], ", ")
	if more := len(damaged) - maximumNames; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// tampered is what is said of them, of which some are claims.
func tampered(damaged []string, claims []v1alpha1.Envelope) string {
	text := fmt.Sprintf("%d Envelopes do not open under the domain key that they name, and stay as they are: %s. Restore them from a backup, or delete what they are of",
		len(damaged), names(damaged))
	if len(claims) > 0 {
		text += fmt.Sprintf(". There has been no domain key here that %d of them name: %s. If they are of another installation, restore its domain keys before the next rotation",
			len(claims), names(slices.Sorted(slices.Values(namesOf(claims)))))
	}
	return text
}
