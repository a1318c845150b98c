package ssm

import (
	"context"
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
	// of is what tokens say that they are of, and key what tells one list of the account from another.
	of, key string
	// path that the parameters are below; empty for all.
	path    string
	filters []filter
	// has tells of a parameter below the path whether the list has it, before filters.
	has func(*v1alpha1.Parameter) bool
	// after is the name of the last entry of the page before, empty for the first page. most is the size of a page.
	after string
	most  int
}

// listed is the entries of a page, in the order of their names, and the token of the next one. The first page is of what there is, and has the order remembered. The others
// go on in that order, so that each costs as much as it has entries: they leave out what is gone, and what came since if the order is remembered.
func (a *api) listed(ctx context.Context, call *gateway.Call, l listing) (shown []*v1alpha1.Parameter, next *string, err error) {
	key := strings.Join([]string{call.Namespace(), call.Region, l.of, l.key}, "\x00")
	now := a.Parameters.Now()
	if l.after != "" {
		if places, known := a.Parameters.Listings.Behind(key, l.after, now); known {
			return a.places(ctx, call, l, places)
		}
	}
	all, err := a.Parameters.List(ctx, call.Namespace(), call.Region, l.path)
	if err != nil {
		return nil, nil, err
	}
	all = slices.DeleteFunc(all, func(p *v1alpha1.Parameter) bool { return !l.has(p) || !a.matches(ctx, l.filters, p) })
	slices.SortFunc(all, func(p, q *v1alpha1.Parameter) int { return strings.Compare(p.CanonicalName(), q.CanonicalName()) })
	from, _ := slices.BinarySearchFunc(all, l.after, func(p *v1alpha1.Parameter, after string) int {
		if p.CanonicalName() <= after {
			return -1
		}
		return 1
	})
	if l.after == "" {
		from = 0
	}
	if len(all)-from <= l.most {
		return all[from:], nil, nil
	}
	places := make([]parameterstore.Place, 0, len(all))
	for _, p := range all {
		places = append(places, parameterstore.PlaceOf(p))
	}
	a.Parameters.Listings.Remember(key, places, now)
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

// token of the page behind an entry.
func (l *listing) token(last string) *string {
	return ptr.To(base64.RawURLEncoding.EncodeToString([]byte(l.of + "\x00" + last)))
}
