package iam

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
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

// paged sorts a list by the names of its items and cuts a page out of it. The marker is the name of the last item of the page
// before: an item that went meanwhile does not matter.
func paged[T any](all []T, name func(T) string, marker *string, size *int32) (page[T], error) {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(name(a), name(b)) })
	if marker != nil {
		last, err := base64.RawURLEncoding.DecodeString(*marker)
		if err != nil {
			return page[T]{}, invalid("Invalid Marker.")
		}
		all = slices.DeleteFunc(all, func(item T) bool { return name(item) <= string(last) })
	}
	most := usualPage
	if size != nil {
		most = int(*size)
	}
	if len(all) <= most {
		return page[T]{items: all}, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(name(all[most-1])))
	return page[T]{items: all[:most], truncated: true, marker: &next}, nil
}
