// Package page cuts lists into pages. A token holds the place of the last entry that was shown, so that what is made or deleted between
// two pages moves nothing. It holds nothing that the list did not show.
package page

import (
	"encoding/base64"
	"encoding/json/v2"
	"errors"
	"slices"
	"strings"
)

// ErrToken says that a token is none of this list's.
var ErrToken = errors.New("the NextToken is not valid: use one that the same list has given")

// Place is where an entry of a list stands: by its key, and of one key by its id, which no two have.
type Place struct {
	// Of says what list the token is of: its order, its filters.
	Of  string `json:"o"`
	Key string `json:"k"`
	ID  string `json:"i"`
}

func (p Place) compare(other Place) int {
	if c := strings.Compare(p.Key, other.Key); c != 0 {
		return c
	}
	return strings.Compare(p.ID, other.ID)
}

func (p Place) token() (*string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	token := base64.RawURLEncoding.EncodeToString(b)
	return &token, nil
}

// After reads a token. It is nil for the first page. It wraps ErrToken.
func After(token *string, of string) (*Place, error) {
	if token == nil {
		return nil, nil
	}
	var p Place
	b, err := base64.RawURLEncoding.DecodeString(*token)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil || p.Of != of {
		return nil, ErrToken
	}
	return &p, nil
}

// Cut sorts a list and cuts the page behind a place out of it, of at most so many entries.
func Cut[T any](all []T, at func(*T) Place, after *Place, most int, descending bool) (out []T, next *string, err error) {
	order := func(a, b Place) int {
		if descending {
			return b.compare(a)
		}
		return a.compare(b)
	}
	if after != nil {
		all = slices.DeleteFunc(all, func(t T) bool { return order(at(&t), *after) <= 0 })
	}
	slices.SortFunc(all, func(a, b T) int { return order(at(&a), at(&b)) })
	if len(all) <= most {
		return all, nil, nil
	}
	next, err = at(&all[most-1]).token()
	return all[:most], next, err
}
