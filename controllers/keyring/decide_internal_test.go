package keyring

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestWhenTheDomainKeyIsRotated(t *testing.T) {
	day := 24 * time.Hour
	settled := rotationInput{current: 3, known: 3, created: now.Add(-10 * day), domainKeys: 3, now: now, seed: "uid"}
	with := func(change func(*rotationInput)) rotationInput {
		in := settled
		change(&in)
		return in
	}
	for name, tt := range map[string]struct {
		in      rotationInput
		rotate  bool
		next    bool
		refused bool
	}{
		"by itself never, where that is off":          {in: settled},
		"at the end of its period":                    {in: with(func(in *rotationInput) { in.periodInDays, in.now = 10, now.Add(time.Hour) }), rotate: true, next: true},
		"not before it":                               {in: with(func(in *rotationInput) { in.periodInDays = 11 }), next: true},
		"when it is asked for":                        {in: with(func(in *rotationInput) { in.requested = "now" }), rotate: true},
		"not twice for one request":                   {in: with(func(in *rotationInput) { in.requested, in.handled = "now", "now" })},
		"for another request":                         {in: with(func(in *rotationInput) { in.requested, in.handled = "later", "now" }), rotate: true},
		"not for a request that went away":            {in: with(func(in *rotationInput) { in.handled = "now" })},
		"not for a request whose domain key is there": {in: with(func(in *rotationInput) { in.requested, in.known = "now", 2 })},
		"not for an old request, with a lost status":  {in: with(func(in *rotationInput) { in.requested, in.known = "now", 0 })},
		"for a request that came before another's domain key was noted": {
			in: with(func(in *rotationInput) { in.requested, in.known, in.answered = "later", 2, ptr.To("now") }), rotate: true,
		},
		"not for the request that its domain key answers": {in: with(func(in *rotationInput) { in.requested, in.known, in.answered = "now", 2, ptr.To("now") })},
		"not for it with a lost status, or once restored": {in: with(func(in *rotationInput) { in.requested, in.known, in.answered = "now", 0, ptr.To("now") })},
		"for a request after one that came by itself":     {in: with(func(in *rotationInput) { in.requested, in.known, in.answered = "now", 2, ptr.To("") }), rotate: true},
		"not for a request that was taken back":           {in: with(func(in *rotationInput) { in.known, in.answered = 2, ptr.To("now") })},
		"by what status says once it is written":          {in: with(func(in *rotationInput) { in.requested, in.handled, in.answered = "now", "now", ptr.To("other") })},
		"once for a request at the end of its period":     {in: with(func(in *rotationInput) { in.requested, in.periodInDays = "now", 1 }), rotate: true, next: true},
		"at the end of its period, with a lost status": {
			in: with(func(in *rotationInput) { in.requested, in.known, in.periodInDays = "now", 0, 1 }), rotate: true, next: true,
		},
		"not beyond what is opened":                       {in: with(func(in *rotationInput) { in.requested, in.domainKeys = "now", keyring.MaxDomainKeys }), refused: true},
		"by itself not beyond what is opened":             {in: with(func(in *rotationInput) { in.periodInDays, in.domainKeys = 1, keyring.MaxDomainKeys }), refused: true},
		"as the last one that is opened":                  {in: with(func(in *rotationInput) { in.requested, in.domainKeys = "now", keyring.MaxDomainKeys-1 }), rotate: true},
		"not, and not refused, with as many as there may": {in: with(func(in *rotationInput) { in.domainKeys = keyring.MaxDomainKeys })},
	} {
		got, refused := decideRotation(tt.in)
		if got.rotate != tt.rotate || got.next.IsZero() == tt.next || errors.Is(refused, errTooManyDomainKeys) != tt.refused {
			t.Errorf("%s: %+v, %v", name, got, refused)
		}
	}
}

func TestThePeriodIsOfTheSpec(t *testing.T) {
	for want, spec := range map[int]*v1alpha1.DomainKeyRotation{
		0: nil, 365: {Enabled: true}, 1: {Enabled: true, PeriodInDays: 1}, 2560: {Enabled: true, PeriodInDays: 2560},
	} {
		if got := period(spec); got != want {
			t.Errorf("%+v: %d", spec, got)
		}
	}
	if got := period(&v1alpha1.DomainKeyRotation{}); got != 0 {
		t.Errorf("what is not enabled has a period of %d days", got)
	}
}

func TestHowFarARewrapHasCome(t *testing.T) {
	at, earlier := metav1.NewTime(now), metav1.NewTime(now.Add(-time.Hour))
	rewrap := func(total, done int64, completed *metav1.Time) *v1alpha1.KeyringRewrap {
		return &v1alpha1.KeyringRewrap{Epoch: 2, Total: total, Done: done, StartedTime: earlier, CompletedTime: completed}
	}
	for name, tt := range map[string]struct {
		former       *v1alpha1.KeyringRewrap
		epoch        int64
		before, left int64
		want         *v1alpha1.KeyringRewrap
	}{
		"before the first rotation there is none":        {epoch: 1},
		"it begins with all that is there":               {epoch: 2, before: 250, left: 250, want: &v1alpha1.KeyringRewrap{Epoch: 2, Total: 250, StartedTime: at}},
		"nothing to do is done":                          {epoch: 2, want: &v1alpha1.KeyringRewrap{Epoch: 2, StartedTime: at, CompletedTime: &at}},
		"it goes on":                                     {rewrap(250, 100, nil), 2, 150, 50, rewrap(250, 200, nil)},
		"it ends":                                        {rewrap(250, 200, nil), 2, 50, 0, rewrap(250, 250, &at)},
		"what was erased meanwhile is done too":          {rewrap(250, 100, nil), 2, 120, 20, rewrap(250, 230, nil)},
		"the last were erased":                           {rewrap(250, 200, nil), 2, 0, 0, rewrap(250, 250, &at)},
		"what has come since is done too":                {rewrap(250, 250, &earlier), 2, 7, 7, rewrap(257, 250, nil)},
		"and ends it again":                              {rewrap(257, 250, nil), 2, 7, 0, rewrap(257, 257, &at)},
		"it ended when it ended":                         {rewrap(250, 250, &earlier), 2, 0, 0, rewrap(250, 250, &earlier)},
		"another rotation begins another":                {rewrap(250, 200, nil), 3, 300, 300, &v1alpha1.KeyringRewrap{Epoch: 3, Total: 300, StartedTime: at}},
		"another rotation of all that does not open yet": {rewrap(3, 0, nil), 2, 3, 3, rewrap(3, 0, nil)},
		"one that was noted by a clock that is ahead": {
			&v1alpha1.KeyringRewrap{Epoch: 2, Total: 3, StartedTime: metav1.NewTime(now.Add(time.Hour))}, 2, 3, 3, &v1alpha1.KeyringRewrap{Epoch: 2, Total: 3, StartedTime: at},
		},
	} {
		was := tt.former.DeepCopy()
		got := progress(tt.former, tt.epoch, tt.before, tt.left, now)
		if !equality.Semantic.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v", name, got)
		}
		if !equality.Semantic.DeepEqual(tt.former, was) {
			t.Errorf("%s: what was before has changed", name)
		}
	}
}

func TestWhatIsUnderALostDomainKeyIsNotCalledRewrapped(t *testing.T) {
	for name, tt := range map[string]struct {
		lost   []int64
		status metav1.ConditionStatus
		reason string
	}{
		"none is lost": {nil, metav1.ConditionTrue, v1alpha1.ReasonSucceeded},
		"one is lost":  {[]int64{2}, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeMissing},
	} {
		p := &pass{keyring: &v1alpha1.Keyring{Status: v1alpha1.KeyringStatus{CurrentEpoch: 3, Epochs: []v1alpha1.KeyringEpoch{{Epoch: 3}}}}, lost: tt.lost}
		rewrapped(p)
		c := meta.FindStatusCondition(p.keyring.Status.Conditions, v1alpha1.ConditionRewrapped)
		if c == nil || c.Status != tt.status || c.Reason != tt.reason {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestADomainKeyOfTheFutureWasMadeWhenItWasNoted(t *testing.T) {
	hour, year := time.Hour, 365*24*time.Hour
	for name, tt := range map[string]struct{ says, noted, want time.Time }{
		"it says when":                              {now.Add(-hour), now, now.Add(-hour)},
		"just now":                                  {now, now, now},
		"restored from a backup":                    {now.Add(-year), now.Add(-hour), now.Add(-year)},
		"by a clock that is a little ahead":         {now.Add(-hour).Add(30 * time.Second), now.Add(-hour), now.Add(-hour).Add(30 * time.Second)},
		"by a clock that is ahead":                  {now.Add(hour), now.Add(-time.Minute), now.Add(-time.Minute)},
		"by a clock that was ahead, which is over":  {now.Add(-time.Second), now.Add(-hour), now.Add(-hour)},
		"by a clock that is years ahead":            {now.Add(9 * year), now, now},
		"noted by a clock that is ahead as well":    {now.Add(hour), now.Add(2 * hour), now},
		"noted by one, and made by another that is": {now.Add(-hour), now.Add(2 * hour), now.Add(-hour)},
	} {
		if got := madeAt(tt.says, tt.noted, now); !got.Equal(tt.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAnEnvelopeIsBelievedThatStrongroomsOwnNamespaceHasARecordOf(t *testing.T) {
	at := func(namespace string, epochs ...int64) (out []v1alpha1.Envelope) {
		for _, epoch := range epochs {
			out = append(out, v1alpha1.Envelope{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint(epoch)}, Spec: v1alpha1.EnvelopeSpec{KeyARN: fmt.Sprint("strongroom:domain-key/", epoch)},
			})
		}
		return out
	}
	key := func(epochs ...int64) (out []v1alpha1.Envelope) {
		for _, epoch := range epochs {
			out = append(out, v1alpha1.Envelope{Spec: v1alpha1.EnvelopeSpec{Sequence: epoch}})
		}
		return out
	}
	for name, tt := range map[string]struct {
		known         int64
		stored, after []v1alpha1.Envelope
		newest        int64
		claims        []string
	}{
		"there is none":                           {1, key(1), nil, 1, nil},
		"of another namespace":                    {1, key(1), at("shop", 2), 1, []string{"shop/2"}},
		"of the newest epoch that there can be":   {1, key(1), at("shop", math.MaxInt64), 1, []string{"shop/9223372036854775807"}},
		"the domain key is stored":                {1, key(1, 2), at("shop", 2), 2, nil},
		"a later domain key is stored":            {1, key(1, 3), at("shop", 2), 2, nil},
		"one is stored that nothing is under":     {1, key(1, 3), at("shop", 4), 1, []string{"shop/4"}},
		"status names it":                         {2, key(1), at("shop", 2), 2, nil},
		"status names one before it":              {2, key(1), at("shop", 3, 2), 2, []string{"shop/3"}},
		"of its own namespace":                    {1, key(1), at("own", 2), 2, nil},
		"one before one of its own namespace":     {1, key(1), append(at("shop", 2, 4), at("own", 3)...), 3, []string{"shop/4"}},
		"believed and not, from the same tenants": {1, key(1, 2), at("shop", 2, 3, 2), 2, []string{"shop/3"}},
	} {
		newest, claims := decideClaims(tt.known, "own", tt.stored, tt.after)
		if newest != tt.newest || !slices.Equal(namesOf(claims), tt.claims) {
			t.Errorf("%s: %d, %v", name, newest, namesOf(claims))
		}
	}
}
