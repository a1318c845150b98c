package parametertree

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// A change of one parameter writes the whole target of each tree that it is in, a megabyte at most, and the API server and etcd are everybody's. So what a namespace's trees write is paced by its
// bytes, which slots do not count.

const (
	// writtenPerSecond is how many bytes the trees of a namespace write a second in the long run, and writtenAtOnce how many after a time of few changes.
	writtenPerSecond = 512 << 10
	writtenAtOnce    = 4 << 20
	// withdrawnAtOnce is the same of trees that show a value which has its end: all of some sixty large ones.
	withdrawnAtOnce = 64 << 20
	// bytesPerKey is what a key costs beside its value, in the target and in status, and bytesPerPass what a pass costs that writes.
	bytesPerKey  = 128
	bytesPerPass = 4 << 10
	// longestHold is how long a tree is held before it is looked at again, whether what it shows has its end.
	longestHold = 10 * time.Second
)

var treesWaiting = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "strongroom_parametertrees_waiting",
	Help: "ParameterTrees whose targets are written later, since those of their namespaces have had many bytes written.",
})

func init() { ctrlmetrics.Registry.MustRegister(treesWaiting) }

// Pace is how much the trees of each namespace write, by bytes. It is lost with the process, which costs each namespace's burst.
type Pace struct {
	writes, withdrawals *fairshare.Budget

	mu sync.Mutex
	// last is what a tree's target cost when it was written last.
	last map[types.NamespacedName]int64
}

// NewPace is one of which nothing was written yet. now is the clock.
func NewPace(now func() time.Time) *Pace {
	return &Pace{
		writes:      fairshare.NewBudget(writtenPerSecond, writtenAtOnce, now),
		withdrawals: fairshare.NewBudget(writtenPerSecond, withdrawnAtOnce, now),
		last:        map[types.NamespacedName]int64{},
	}
}

// cost is what it costs to write this data, in bytes.
func cost(data map[string]secretbytes.Bytes) int64 {
	sum := int64(bytesPerPass)
	for key, value := range data {
		sum += int64(len(key)+value.Len()) + bytesPerKey
	}
	return sum
}

// hold is how long a tree waits before its pass, 0 if it need not. One that was never shown as its spec is now is not held: its user waits for it. Whether it is Ready makes no difference, or
// who holds its restarts up would be free of the budget.
func (r *Reconciler) hold(ctx context.Context, p *pass) (time.Duration, error) {
	if r.Pace == nil || !settled(p.tree) {
		return 0, nil
	}
	wait := r.Pace.book(r.Pace.writes, p.tree)
	if wait == 0 {
		return 0, nil
	}
	gone, err := r.gone(ctx, p)
	if err != nil {
		return 0, err
	}
	if len(gone) > 0 {
		wait = r.Pace.book(r.Pace.withdrawals, p.tree)
	}
	return min(wait, longestHold), nil
}

// settled tells that a tree was shown as its spec says.
func settled(t *v1alpha1.ParameterTree) bool {
	return t.Status.ObservedGeneration == t.Generation && t.Status.Projection != nil && t.Status.Projection.Generation == t.Generation
}

// book asks a budget for what a tree's target cost the last time, nothing if that is not known.
func (p *Pace) book(of *fairshare.Budget, t *v1alpha1.ParameterTree) time.Duration {
	name := types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
	p.mu.Lock()
	last := p.last[name]
	p.mu.Unlock()
	wait := of.Book(t.Namespace, name.String(), last)
	treesWaiting.Set(float64(p.writes.Waiting() + p.withdrawals.Waiting()))
	return wait
}

// settle says what a pass wrote, nothing if what is shown was as it is to be. A withdrawal is paid for once.
func (p *Pace) settle(t *v1alpha1.ParameterTree, size int64, wrote bool) {
	if p == nil {
		return
	}
	name := types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
	p.mu.Lock()
	if size > 0 {
		p.last[name] = size
	}
	size = p.last[name]
	p.mu.Unlock()
	if !wrote {
		size = 0
	}
	if p.withdrawals.Booked(name.String()) {
		p.withdrawals.Settle(t.Namespace, name.String(), size)
		p.writes.Forget(name.String())
		return
	}
	p.writes.Settle(t.Namespace, name.String(), size)
}

// forget forgets a tree that is gone.
func (p *Pace) forget(name types.NamespacedName) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, name)
	p.writes.Forget(name.String())
	p.withdrawals.Forget(name.String())
}
