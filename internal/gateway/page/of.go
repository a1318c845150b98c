package page

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"reflect"
	"strings"

	"strongroom.dev/strongroom/internal/gateway"
)

// positions are the members of a request that choose a page of a list, and not the list.
var positions = []string{"NextToken", "Marker", "MaxResults", "MaxItems", "Limit"}

// Of tells one list from all others: the operation, the account and the region that ask, and all else that the request has, such as filters and order. A token is of use for
// the list alone that gave it; the size of pages may change. It is a digest of 128 bits as 22 characters, so that a token is short however long the filters are, and says nothing of them.
// The input is the SDK's, by pointer, and stays as it is.
func Of(call *gateway.Call, in any) string {
	asked := reflect.New(reflect.TypeOf(in).Elem()).Elem()
	asked.Set(reflect.ValueOf(in).Elem())
	for _, name := range positions {
		if member := asked.FieldByName(name); member.IsValid() {
			member.SetZero()
		}
	}
	text, err := json.Marshal(asked.Interface(), json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil { // no input of the SDK has what JSON has not
		text = []byte(err.Error())
	}
	head := strings.Join([]string{call.Service, call.Operation, call.Account(), call.Region, ""}, "\x00")
	sum := sha256.Sum256(append([]byte(head), text...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
