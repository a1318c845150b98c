package function

import "net/http"

// Judge is judge of an answer of parts.
func Judge(status int, header string, content []byte) error {
	return judge(&http.Response{StatusCode: status, Header: http.Header{"X-Amz-Function-Error": {header}}}, content)
}
