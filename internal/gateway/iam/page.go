package iam

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"strongroom.dev/strongroom/internal/gateway"
	list "strongroom.dev/strongroom/internal/gateway/page"
)

func itoa(n int) string { return strconv.Itoa(n) }

// usualPage is the number of items of a page when the request names none.
const usualPage = 100

// page is a part of a list: the items, whether there are more, and the marker of the next page.
type page[T any] struct {
	items     []T
	truncated bool
	marker    *string
}

// asked is what a request says of the page that it wants.
type asked struct {
	// of tells the list from all others: a marker is of use for the one alone that gave it.
	of     string
	marker *string
	size   *int32
}

// ask is what a request says of the page that it wants; the input has the marker and the size.
func ask(call *gateway.Call, in any, marker *string, size *int32) asked {
	return asked{of: list.Of(call, in), marker: marker, size: size}
}

// after is the name that the page is behind, and whether there is one. Anything that no page of the list gave is an error.
func (p asked) after() (name string, found bool, err error) {
	if p.marker == nil {
		return "", false, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(*p.marker)
	name, found = strings.CutPrefix(string(text), p.of+"/")
	if err != nil || !found {
		return "", false, invalid("Invalid Marker.")
	}
	return name, true, nil
}

// next is the marker of the page behind a name.
func (p asked) next(name string) *string {
	marker := base64.RawURLEncoding.EncodeToString([]byte(p.of + "/" + name))
	return &marker
}

// most is the number of items of the page.
func (p asked) most() int {
	if p.size == nil {
		return usualPage
	}
	return int(*p.size)
}

// paged sorts a list by the names of its items and cuts a page out of it. The marker is the name of the last item of the page
// before: an item that went meanwhile does not matter.
func paged[T any](all []T, name func(T) string, p asked) (page[T], error) {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(name(a), name(b)) })
	last, behind, err := p.after()
	if err != nil {
		return page[T]{}, err
	}
	if behind {
		all = slices.DeleteFunc(all, func(item T) bool { return name(item) <= last })
	}
	most := p.most()
	if len(all) <= most {
		return page[T]{items: all}, nil
	}
	return page[T]{items: all[:most], truncated: true, marker: p.next(name(all[most-1]))}, nil
}
