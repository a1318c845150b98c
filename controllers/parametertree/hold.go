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
// What costs is the writes and not the reading: one that is let in to lose keys costs as much as any.

const (
	// urgentAtOnce is how much is written at once of trees that are new, or whose spec is another, and as much again of trees that lose a value which has its end: some sixty large ones each. In the long run each is as
	// much as of all others, and each has a budget of its own: whoever makes trees, changes specs, or makes and deletes parameters without end has the same written as whoever changes parameters. So what has its end waits
	// behind nothing but what had its end before.
	urgentAtOnce = 64 << 20
	// longestHold is how long a tree is held before it is looked at again, whether what it shows has its end.
	longestHold = 10 * time.Second
)

// Pace is how much the trees of each namespace write, by bytes. It is lost with the process.
type Pace struct {
	writes, urgent, ends *fairshare.Budget
	now                  func() time.Time

	mu sync.Mutex
	// last is what a tree's target cost when it was written last, once.
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
	atOnce := func() *fairshare.Budget { return fairshare.NewBudget(projection.WrittenPerSecond, urgentAtOnce, now) }
	return &Pace{
		writes: writes, urgent: atOnce(), ends: atOnce(), now: now,
		last: map[types.NamespacedName]int64{}, living: map[string]lately{},
	}
}

// turn is what a tree may do now.
type turn struct {
	// wait is how long it waits to be shown as it is to be, 0 if it need not: when to look again.
	wait time.Duration
	// losing tells that it does not wait to lose values which have their end, by one write of the target. If more is to be written than that, the rest waits.
	losing bool
	// asks tells that the projector asks the budget for what it writes, as of other objects, and settles it.
	asks bool
	// of is the budget that pays for it, nil if nothing is paid for.
	of *fairshare.Budget
}

func (t turn) held() bool { return t.wait > 0 && !t.losing }

// hold is the turn of a tree, before its pass.
func (r *Reconciler) hold(ctx context.Context, p *pass) (turn, error) {
	if r.Pace == nil {
		return turn{}, nil
	}
	of := r.Pace.writes
	if !settled(p.tree) { // its user waits for it
		of = r.Pace.urgent
	} else if p.tree.Status.Projection.Digest == projection.Unrestarted && !of.Booked(payer(client.ObjectKeyFromObject(p.tree))) {
		// What is written may be all that there is to write. If it is not, the projector books, and the next pass waits for that here.
		return turn{asks: true, of: of}, nil
	}
	wait := r.Pace.book(of, p.tree)
	if wait == 0 || p.former.Projection == nil {
		return turn{wait: min(wait, longestHold), of: of}, nil
	}
	living, fresh, err := r.Pace.lately(p.tree.Namespace, func() (*living, error) { return r.living(ctx, p.tree.Namespace) })
	if err != nil {
		return turn{}, err
	}
	if len(r.gone(p, living)) == 0 {
		return decideTurn(of, wait, fresh), nil
	}
	return decideLosing(of, wait, r.Pace.ends, r.Pace.book(r.Pace.ends, p.tree)), nil
}

// decideTurn is the turn of a tree that is held, and of which nothing has gone as far as is known. If that was not looked at just now, what has gone since is told by an event, which may have
// asked for this pass.
func decideTurn(of *fairshare.Budget, wait time.Duration, fresh bool) turn {
	if fresh {
		return turn{wait: min(wait, longestHold), of: of}
	}
	return turn{wait: min(wait, gathering), of: of}
}

// decideLosing is the turn of one that is held and shows what has gone: it comes when either budget lets it in, and waits for the other one no more.
func decideLosing(of *fairshare.Budget, wait time.Duration, ends *fairshare.Budget, toLose time.Duration) turn {
	if toLose == 0 {
		return turn{wait: min(wait, longestHold), losing: true, of: ends}
	}
	return turn{wait: min(wait, toLose, longestHold), of: of}
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

// settle says what a pass wrote, nothing if what is shown was as it is to be. It is paid for once, by the budget that let it in; a tree that has lost values, and of which the rest waits, keeps its turn. What the projector
// was to ask for it has settled itself.
func (p *Pace) settle(of *pass) {
	if p == nil {
		return
	}
	name := types.NamespacedName{Namespace: of.tree.Namespace, Name: of.tree.Name}
	p.mu.Lock()
	if of.size > 0 {
		p.last[name] = of.size
	}
	p.mu.Unlock()
	if of.turn.asks && of.spent == 0 { // it may have booked, and comes again
		return
	}
	who := payer(name)
	of.turn.of.Settle(name.Namespace, who, of.spent)
	for _, other := range p.budgets() {
		if other != of.turn.of && !of.rests {
			other.Forget(who)
		}
	}
	p.report()
}

func (p *Pace) budgets() []*fairshare.Budget { return []*fairshare.Budget{p.writes, p.urgent, p.ends} }

func (p *Pace) report() {
	projection.ReportWaiting("changes", p.writes)
	projection.ReportWaiting("urgent", p.urgent)
	projection.ReportWaiting("ends", p.ends)
}

// forget forgets a tree that is gone.
func (p *Pace) forget(name types.NamespacedName) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, name)
	for _, budget := range p.budgets() {
		budget.Forget(payer(name))
	}
}
