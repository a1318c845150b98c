package parameterstore

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"strongroom.dev/strongroom/api/v1alpha1"
)

const (
	// listingAge is how long the order of a list is remembered for its next pages.
	listingAge = time.Minute
	// maximumListings is how many are, and maximumListed how many entries they have in all.
	maximumListings = 256
	maximumListed   = 1 << 20
	// maximumAsOf is how many digits a resource version has at most that came from outside: etcd's have 19.
	maximumAsOf = 40
)

// Listings are the orders of lists of which a page was told a moment ago: the next page finds its place in it, and reads its own entries alone. So a list of n
// entries costs n log n and not n for each of its pages. What is not remembered is listed anew. The zero value is ready for use, by several goroutines;
// nil remembers nothing.
type Listings struct {
	mu     sync.Mutex
	known  map[ListingKey]listing
	listed int
}

// ListingKey tells a list from all others.
type ListingKey struct {
	// Namespace whose parameters are listed. Each has its share of what is remembered: who lists most loses an order first.
	Namespace string
	// Of is a digest of what the list is of. Filters are a client's, and may be long.
	Of [sha256.Size]byte
}

// Place is an entry of a list: the name that lists are ordered by, and that of the object.
type Place struct{ Canonical, Object string }

// Order is the order of a list, and of which state of the parameters that is.
type Order struct {
	// Places are the list's entries, by their names.
	Places []Place
	// AsOf is the newest resource version among the entries: a text of digits, by which two orders of one list compare wherever they were made.
	AsOf string
}

type listing struct {
	Order

	at time.Time
}

// OrderOf is the order of a list whose entries are sorted.
func OrderOf(all []*v1alpha1.Parameter) Order {
	out := Order{Places: make([]Place, 0, len(all))}
	for _, p := range all {
		out.Places = append(out.Places, Place{p.CanonicalName(), p.Name})
		if Older(out.AsOf, p.ResourceVersion) {
			out.AsOf = p.ResourceVersion
		}
	}
	return out
}

// Older tells whether what is as of a resource version can lack something that is in what is as of another one. A text that is none is older than all.
//
// Each replica reads a cache that has all changes up to a resource version, and none after it. So an order that has an entry of a resource version has been
// made of all changes up to that, and has all entries of every order which is as of that version or an earlier one, but for what was deleted since.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
func Older(a, b string) bool {
	compared, err := resourceversion.CompareResourceVersion(a, b)
	if err != nil {
		return !wellFormed(a) && wellFormed(b)
	}
	return compared < 0
}

func wellFormed(version string) bool {
	_, err := resourceversion.CompareResourceVersion(version, version)
	return err == nil
}

// CheckAsOf says whether a text that came from outside can be an Order's AsOf.
func CheckAsOf(text string) bool { return wellFormed(text) && len(text) <= maximumAsOf }

// Remember keeps the order of a list, unless a newer one is known. It is its own from now on.
func (l *Listings) Remember(of ListingKey, order Order, now time.Time) {
	if l == nil || len(order.Places) > maximumListed {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if is, known := l.known[of]; known && is.fresh(now) && Older(order.AsOf, is.AsOf) {
		return
	}
	l.forget(of)
	for name, is := range l.known {
		if !is.fresh(now) {
			l.forget(name)
		}
	}
	for len(l.known) >= maximumListings || l.listed+len(order.Places) > maximumListed {
		l.forget(l.dispensable())
	}
	if l.known == nil {
		l.known = map[ListingKey]listing{}
	}
	l.known[of] = listing{order, now}
	l.listed += len(order.Places)
}

// Behind is what comes behind an entry in a list that is remembered and not older than as of a resource version. It is read only.
func (l *Listings) Behind(of ListingKey, after, asOf string, now time.Time) (places []Place, known bool) {
	if l == nil {
		return nil, false
	}
	l.mu.Lock()
	is, known := l.known[of]
	l.mu.Unlock()
	if !known || !is.fresh(now) || Older(is.AsOf, asOf) {
		return nil, false
	}
	at, found := slices.BinarySearchFunc(is.Places, after, func(p Place, name string) int { return strings.Compare(p.Canonical, name) })
	for found && at < len(is.Places) && is.Places[at].Canonical == after { // several objects may claim one name
		at++
	}
	return is.Places[at:], true
}

// fresh tells whether a listing may be used: also not after the clock was set back.
func (l *listing) fresh(now time.Time) bool {
	age := now.Sub(l.at)
	return age >= 0 && age < listingAge
}

func (l *Listings) forget(of ListingKey) {
	l.listed -= len(l.known[of].Places)
	delete(l.known, of)
}

// dispensable is the oldest order of the namespace that has most of what is remembered. A short order counts as one of the length that all would have if there were as
// many as there may be.
func (l *Listings) dispensable() (of ListingKey) {
	weights := map[string]int{}
	for key := range l.known {
		weights[key.Namespace] += max(len(l.known[key].Places), maximumListed/maximumListings)
	}
	for key, is := range l.known {
		weight, most := weights[key.Namespace], weights[of.Namespace]
		if of == (ListingKey{}) || weight > most || weight == most && is.at.Before(l.known[of].at) {
			of = key
		}
	}
	return of
}
