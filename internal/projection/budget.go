package projection

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
)

// One change by the API, of a parameter or a secret, has each target of its namespace that shows it written whole, a megabyte at most, and the API server and etcd are everybody's. So what is written for a
// namespace because of such changes is paced by its bytes.

const (
	// WrittenPerSecond is how many bytes of targets are written a second for a namespace in the long run.
	WrittenPerSecond = 512 << 10
	// WrittenAtOnce is how many bytes are written for it at once, after a time of few changes.
	WrittenAtOnce = 4 << 20
	// bytesPerKey is what a key costs beside its value, in the target and in status, and bytesPerWrite what a write costs besides.
	bytesPerKey   = 128
	bytesPerWrite = 4 << 10
)

// The budgets are a fixed few, and so are the label's values.
var targetsWaiting = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "strongroom_targets_waiting",
	Help: "Targets that are written later, since many bytes were written for their namespaces, by the budget: changes, urgent for new and changed ParameterTrees, or ends for values in them that have their end.",
}, []string{"budget"})

func init() { ctrlmetrics.Registry.MustRegister(targetsWaiting) }

// ReportWaiting shows in the metrics how many wait for a budget.
func ReportWaiting(name string, budget *fairshare.Budget) {
	targetsWaiting.WithLabelValues(name).Set(float64(budget.Waiting()))
}

// NewBudget is what may be written for each namespace. It is lost with the process, which costs each namespace what it may have at once. now is the clock.
func NewBudget(now func() time.Time) *fairshare.Budget {
	return fairshare.NewBudget(WrittenPerSecond, WrittenAtOnce, now)
}

// Cost is what it costs to write this data, in bytes.
func Cost(data map[string]secretbytes.Bytes) int64 { return cost(data, secretbytes.Bytes.Len) }

// costOf is what it costs to write an object once, however small the request is: the API server has it whole in etcd, and sends it whole to all who watch.
func costOf(live *corev1.Secret) int64 {
	return cost(live.Data, func(value []byte) int { return len(value) })
}

func cost[V any](data map[string]V, length func(V) int) int64 {
	sum := int64(bytesPerWrite)
	for key, value := range data {
		sum += int64(len(key)+length(value)) + bytesPerKey
	}
	return sum
}

// afford says so if another content is not to be written yet, since many bytes were written for the namespace. A target that status does not know is written at once, and paid for by those that come
// after it. One that has the content already, of which only workloads are still to be restarted, costs nothing, and is asked about in the cache as Project does: what is written all the same is paid for.
func (p *Projector) afford(ctx context.Context, s *Showing, digest string) error {
	if p.Budget == nil || s.Paid || !s.knows() || s.Former.Digest == digest {
		return nil
	}
	wait := p.Budget.Book(s.Namespace, s.payer(), Cost(s.Target.Data))
	ReportWaiting("changes", p.Budget)
	if wait == 0 {
		return nil
	}
	if there, err := p.InSync(ctx, s.Target); there || err != nil {
		p.Forget(s.Namespace, s.Owner)
		return err
	}
	return unpaid(wait, s.Now)
}

// Held says so if the next content of an owner's target waits, as afford has said: until then nothing need be opened for it, which for a target that is made of many values costs more than all else in a pass.
// at is the target that is wanted. One that status knows not, or that is immutable, is never held.
func (p *Projector) Held(namespace string, owner Owner, former *Former, at *Target, now time.Time) error {
	s := &Showing{Namespace: namespace, Owner: owner, Former: former, Target: at}
	if p.Budget == nil || at.Immutable || !s.knows() {
		return nil
	}
	return unpaid(p.Budget.Left(s.payer()), now)
}

// unpaid says that a target is written later, nil if it need not wait.
func unpaid(wait time.Duration, now time.Time) error {
	if wait == 0 {
		return nil
	}
	return fault.Later(v1alpha1.ReasonProgressing, wait, fmt.Errorf("%d MiB of targets were written for the namespace, and then %d KiB a second, which is as much as is written for one: "+
		"what there is now is shown at %s", WrittenAtOnce>>20, WrittenPerSecond>>10, now.Add(wait).UTC().Format(time.RFC3339)))
}

// pay settles what was written so many times, none if the target was as it is to be.
func (p *Projector) pay(s *Showing, writes int) {
	if p.Budget == nil || s.Paid {
		return
	}
	p.Budget.Settle(s.Namespace, s.payer(), int64(writes)*Cost(s.Target.Data))
	ReportWaiting("changes", p.Budget)
}

// Forget says that an object is gone, or shows nothing any more: what it waits for is its namespace's again.
func (p *Projector) Forget(namespace string, owner Owner) {
	if p.Budget == nil {
		return
	}
	p.Budget.Forget(owner.payer(namespace))
	ReportWaiting("changes", p.Budget)
}

func (s *Showing) payer() string { return s.Owner.payer(s.Namespace) }

// payer is who books.
func (o Owner) payer(namespace string) string { return o.kind() + "/" + namespace + "/" + o.Name }
