package ssm

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// listing is a page of a list of parameters.
type listing struct {
	// of tells the list from all others, in its tokens, too (see page.Of). It is asked for when there is more than a page.
	of func() string
	// path that the parameters are below; empty for all.
	path    string
	filters []filter
	// has tells of a parameter below the path whether the list has it, before filters.
	has func(*v1alpha1.Parameter) bool
	// from is where the page begins, and most its size.
	from position
	most int
}

// position is where the next page of a list begins. The zero value is the first page's.
type position struct {
	// after is the name of the last entry of the page before.
	after string
	// asOf is that of the order which the first page came from. The others come from none that is older, at whatever replica: it would lack what is new in the first one.
	asOf string
}

// positionOf reads the token of a list, which is a client's to change. It fails with InvalidNextToken.
func positionOf(token *string, of func() string) (at position, err error) {
	if token == nil {
		return at, nil
	}
	text, err := afterToken(token, of())
	if err != nil {
		return at, err
	}
	asOf, after, found := strings.Cut(text, "\x00")
	if !found || !parameterstore.CheckAsOf(asOf) {
		return at, invalidToken()
	}
	return position{after: after, asOf: asOf}, nil
}

// listed is the entries of a page, in the order of their names, and the token of the next one. The first page is of what there is, and has the order remembered. The others
// go on in that order or a newer one, so that each costs as much as it has entries: they leave out what is gone, and what came since if the order is remembered.
func (a *api) listed(ctx context.Context, call *gateway.Call, l listing) (shown []*v1alpha1.Parameter, next *string, err error) {
	now := a.Parameters.Now()
	if l.from.after != "" {
		if places, known := a.Parameters.Listings.Behind(l.keyOf(call), l.from.after, l.from.asOf, now); known {
			return a.places(ctx, call, l, places)
		}
	}
	all, err := a.Parameters.List(ctx, call.Namespace(), call.Region, l.path)
	if err != nil {
		return nil, nil, err
	}
	all = slices.DeleteFunc(all, func(p *v1alpha1.Parameter) bool { return !l.has(p) || !a.matches(ctx, l.filters, p) })
	slices.SortFunc(all, func(p, q *v1alpha1.Parameter) int { return strings.Compare(p.CanonicalName(), q.CanonicalName()) })
	from, _ := slices.BinarySearchFunc(all, l.from.after, func(p *v1alpha1.Parameter, after string) int {
		if p.CanonicalName() <= after {
			return -1
		}
		return 1
	})
	if l.from.after == "" {
		from = 0
	}
	if len(all)-from <= l.most {
		return all[from:], nil, nil
	}
	order := parameterstore.OrderOf(all)
	a.Parameters.Listings.Remember(l.keyOf(call), order, now)
	if l.from.after == "" || parameterstore.Older(order.AsOf, l.from.asOf) { // the entry that was the newest is gone, or this replica's cache is behind: there is no newer order here
		l.from.asOf = order.AsOf
	}
	shown = all[from : from+l.most]
	return shown, l.token(shown[len(shown)-1].CanonicalName()), nil
}

// places reads the entries of a page of a list whose order is remembered: as many as there still are.
func (a *api) places(ctx context.Context, call *gateway.Call, l listing, places []parameterstore.Place) (shown []*v1alpha1.Parameter, next *string, err error) {
	for _, place := range places {
		if len(shown) == l.most {
			return shown, l.token(shown[l.most-1].CanonicalName()), nil
		}
		p, err := a.Parameters.Listed(ctx, call.Namespace(), call.Region, place.Object)
		if err != nil {
			return nil, nil, err
		}
		if p != nil && p.CanonicalName() == place.Canonical && l.has(p) && a.matches(ctx, l.filters, p) {
			shown = append(shown, p)
		}
	}
	return shown, nil, nil
}

// keyOf tells a list from all others: whose it is, and what it is of.
func (l *listing) keyOf(call *gateway.Call) parameterstore.ListingKey {
	return parameterstore.ListingKey{
		Namespace: call.Namespace(), Of: sha256.Sum256([]byte(l.of())),
	}
}

// token of the page behind an entry.
func (l *listing) token(last string) *string {
	return ptr.To(base64.RawURLEncoding.EncodeToString([]byte(l.of() + "\x00" + l.from.asOf + "\x00" + last)))
}
