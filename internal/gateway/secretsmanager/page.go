package secretsmanager

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"k8s.io/utils/ptr"

	pages "strongroom.dev/strongroom/internal/gateway/page"
)

// paged is the page of a list that a request asks for, and the token of the next one. of is which list it is, and key what it is sorted by.
func paged[T any](all []T, of string, key, id func(*T) string, token *string, most int, descending bool) (shown []T, next *string, err error) {
	after, err := pages.After(token, of)
	if err == nil {
		at := func(one *T) pages.Place { return pages.Place{Of: of, Key: key(one), ID: id(one)} }
		shown, next, err = pages.Cut(all, at, after, most, descending)
	}
	if errors.Is(err, pages.ErrToken) {
		err = &types.InvalidNextTokenException{Message: ptr.To("Invalid NextToken.")}
	}
	return shown, next, err
}
