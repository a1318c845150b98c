package parametertree

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/projection"
)

// Trees ask the budget of their namespace (projection.Budget) before they read anything, by what they cost the last time: a pass reads all parameters of the namespace. Slots do not count bytes.

const (
	// urgentAtOnce is how much is written at once of trees that show a value which has its end, that are new, or whose spec is another: some sixty large ones. In the long run it is as much as of all others, which have
	// a budget of their own: whoever changes specs without end has the same written as whoever changes parameters.
	urgentAtOnce = 64 << 20
	// longestHold is how long a tree is held before it is looked at again, whether what it shows has its end.
	longestHold = 10 * time.Second
)

// Pace is how much the trees of each namespace write, by bytes. It is lost with the process.
type Pace struct {
	writes, urgent *fairshare.Budget
	now            func() time.Time

	mu sync.Mutex
	// last is what a tree's target cost when it was written last.
	last map[types.NamespacedName]int64
	// living are the parameters of the namespaces of which trees are held, as they were within gathering: each of many trees looks whether what it shows has its end.
	living map[string]lately
}

type lately struct {
	at     time.Time
	living *living
}

// NewPace is one of which nothing was written yet. writes is the budget of all targets, and now the clock.
func NewPace(writes *fairshare.Budget, now func() time.Time) *Pace {
	return &Pace{
		writes: writes, urgent: fairshare.NewBudget(projection.WrittenPerSecond, urgentAtOnce, now), now: now,
		last: map[types.NamespacedName]int64{}, living: map[string]lately{},
	}
}

// hold is how long a tree waits before its pass, 0 if it need not.
func (r *Reconciler) hold(ctx context.Context, p *pass) (time.Duration, error) {
	switch {
	case r.Pace == nil:
		return 0, nil
	case !settled(p.tree): // its user waits for it
		return min(r.Pace.book(r.Pace.urgent, p.tree), longestHold), nil
	}
	if p.tree.Status.Projection.Digest == projection.Unrestarted && !r.Pace.writes.Booked(payer(client.ObjectKeyFromObject(p.tree))) {
		// What is written may be all that there is to write. If it is not, the projector books, and the next pass waits for that here.
		p.asks = true
		return 0, nil
	}
	wait := r.Pace.book(r.Pace.writes, p.tree)
	if wait == 0 {
		return 0, nil
	}
	living, fresh, err := r.Pace.lately(p.tree.Namespace, func() (*living, error) { return r.living(ctx, p.tree.Namespace) })
	if err != nil {
		return 0, err
	}
	if len(r.gone(p, living)) > 0 {
		return min(r.Pace.book(r.Pace.urgent, p.tree), longestHold), nil
	}
	if !fresh { // what has gone since is told by an event, which may have asked for this pass
		return min(wait, gathering), nil
	}
	return min(wait, longestHold), nil
}

// settled tells that a tree was shown as its spec says. Whether it is Ready makes no difference, or who holds its restarts up would be free of the budget.
func settled(t *v1alpha1.ParameterTree) bool {
	return t.Status.ObservedGeneration == t.Generation && t.Status.Projection != nil && t.Status.Projection.Generation == t.Generation
}

// lately are the living of a namespace as they were less than gathering ago. fresh tells that they are so now. They are read without the lock: no namespace waits while
// another one's many parameters are read.
func (p *Pace) lately(namespace string, read func() (*living, error)) (found *living, fresh bool, err error) {
	now := p.now()
	if found = p.remembered(namespace, now); found != nil {
		return found, false, nil
	}
	if found, err = read(); err != nil {
		return nil, false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.living[namespace] = lately{now, found}
	return found, true, nil
}

// remembered are those that were read less than gathering ago, nil for none. Those of other times are forgotten.
func (p *Pace) remembered(namespace string, now time.Time) *living {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, known := range p.living {
		if age := now.Sub(known.at); age < 0 || age >= gathering {
			delete(p.living, name)
		}
	}
	return p.living[namespace].living
}

// book asks a budget for what a tree's target cost the last time, nothing if that is not known.
func (p *Pace) book(of *fairshare.Budget, t *v1alpha1.ParameterTree) time.Duration {
	name := types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
	p.mu.Lock()
	last := p.last[name]
	p.mu.Unlock()
	wait := of.Book(t.Namespace, payer(name), last)
	p.report()
	return wait
}

// payer is who books: trees, beside Secrets and others of one budget.
func payer(tree types.NamespacedName) string { return own.Name + "/" + tree.String() }

// settle says what a pass wrote, nothing if what is shown was as it is to be. What was urgent is paid for once, and what the projector was to ask for it has settled itself.
func (p *Pace) settle(done *pass) {
	if p == nil {
		return
	}
	t, size := done.tree, done.size
	name := types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
	p.mu.Lock()
	if size > 0 {
		p.last[name] = size
	}
	size = p.last[name]
	p.mu.Unlock()
	switch {
	case !done.wrote && done.asks: // it may have booked, and comes again
		return
	case !done.wrote:
		size = 0
	}
	if who := payer(name); p.urgent.Booked(who) {
		p.urgent.Settle(t.Namespace, who, size)
		p.writes.Forget(who)
	} else {
		p.writes.Settle(t.Namespace, who, size)
	}
	p.report()
}

func (p *Pace) report() {
	projection.ReportWaiting("changes", p.writes)
	projection.ReportWaiting("urgent", p.urgent)
}

// forget forgets a tree that is gone.
func (p *Pace) forget(name types.NamespacedName) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, name)
	p.writes.Forget(payer(name))
	p.urgent.Forget(payer(name))
}
