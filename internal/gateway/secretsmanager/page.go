package secretsmanager

import (
	"encoding/base64"
	"encoding/json/v2"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"k8s.io/utils/ptr"
)

// place is where an entry of a list stands: by its key, and of one key by its id, which no two have. A token holds the place of
// the last entry that was shown, so that what is made or deleted between two pages moves nothing.
type place struct {
	// Of says what list the token is of.
	Of  string `json:"o"`
	Key string `json:"k"`
	ID  string `json:"i"`
}

func (p place) compare(other place) int {
	if c := strings.Compare(p.Key, other.Key); c != 0 {
		return c
	}
	return strings.Compare(p.ID, other.ID)
}

func (p place) token() *string {
	b, err := json.Marshal(p)
	if err != nil {
		return nil
	}
	return ptr.To(base64.RawURLEncoding.EncodeToString(b))
}

// afterToken reads a token. It is nil for the first page.
func afterToken(token *string, of string) (*place, error) {
	if token == nil {
		return nil, nil
	}
	var p place
	b, err := base64.RawURLEncoding.DecodeString(*token)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil || p.Of != of {
		return nil, &types.InvalidNextTokenException{Message: ptr.To("Invalid NextToken.")}
	}
	return &p, nil
}

// page sorts a list and cuts the page behind a place out of it.
func page[T any](all []T, at func(*T) place, after *place, most int, descending bool) (out []T, next *string) {
	order := func(a, b place) int {
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
		return all, nil
	}
	return all[:most], at(&all[most-1]).token()
}
