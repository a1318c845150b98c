package parameterstore

import (
	"slices"
	"strings"
	"sync"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
)

const (
	// listingAge is how long the order of a list is remembered for its next pages.
	listingAge = time.Minute
	// maximumListings is how many are, and maximumListed how many entries they have in all.
	maximumListings = 256
	maximumListed   = 1 << 20
)

// Listings are the orders of lists of which a page was told a moment ago: the next page finds its place in it, and reads its own entries alone. So a list of n
// entries costs n log n and not n for each of its pages. What is not remembered is listed anew. The zero value is ready for use, by several goroutines;
// nil remembers nothing.
type Listings struct {
	mu     sync.Mutex
	known  map[string]listing
	listed int
}

// Place is an entry of a list: the name that lists are ordered by, and that of the object.
type Place struct{ Canonical, Object string }

type listing struct {
	places []Place
	at     time.Time
}

// PlaceOf is that of a parameter.
func PlaceOf(p *v1alpha1.Parameter) Place { return Place{p.CanonicalName(), p.Name} }

// Remember keeps the order of a list, which is known by a text that says what it is of. The places are its own from now on.
func (l *Listings) Remember(of string, places []Place, now time.Time) {
	if l == nil || len(places) > maximumListed {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(of)
	for name, is := range l.known {
		if !is.fresh(now) {
			l.forget(name)
		}
	}
	for len(l.known) >= maximumListings || l.listed+len(places) > maximumListed {
		l.forget(l.oldest())
	}
	if l.known == nil {
		l.known = map[string]listing{}
	}
	l.known[of] = listing{places, now}
	l.listed += len(places)
}

// Behind is what comes behind an entry in a list that is remembered. It is read only.
func (l *Listings) Behind(of, after string, now time.Time) (places []Place, known bool) {
	if l == nil {
		return nil, false
	}
	l.mu.Lock()
	is, known := l.known[of]
	l.mu.Unlock()
	if !known || !is.fresh(now) {
		return nil, false
	}
	at, found := slices.BinarySearchFunc(is.places, after, func(p Place, name string) int { return strings.Compare(p.Canonical, name) })
	for found && at < len(is.places) && is.places[at].Canonical == after { // several objects may claim one name
		at++
	}
	return is.places[at:], true
}

// fresh tells whether a listing may be used: also not after the clock was set back.
func (l *listing) fresh(now time.Time) bool {
	age := now.Sub(l.at)
	return age >= 0 && age < listingAge
}

func (l *Listings) forget(of string) {
	l.listed -= len(l.known[of].places)
	delete(l.known, of)
}

func (l *Listings) oldest() (of string) {
	for name, is := range l.known {
		if of == "" || is.at.Before(l.known[of].at) {
			of = name
		}
	}
	return of
}
