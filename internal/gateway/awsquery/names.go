package awsquery

import (
	"bytes"
	"net/url"
	"unicode/utf8"
)

// maximumNamed is the longest Action or Version in bytes, as it is written. AWS's longest has 45.
const maximumNamed = 256

// Names are the Action and the Version of a form, empty if it has none. It is what may be known of a form before it is known who
// sent it: it makes nothing of the rest, and takes no memory but for these two. Both must be called so in plain letters, as all
// SDKs do; a form that has one of them in other ways besides is refused by [Parse]. Errors wrap ErrSerialization.
func Names(form []byte) (action, version string, err error) {
	var found [2]bool
	for part := range bytes.SplitSeq(form, []byte("&")) {
		name, value, _ := bytes.Cut(part, []byte("="))
		at, into := 0, &action
		switch string(name) {
		case "Action":
		case "Version":
			at, into = 1, &version
		default:
			continue
		}
		if found[at] {
			return "", "", malformed("a parameter is there twice")
		}
		found[at] = true
		if *into, err = named(value); err != nil {
			return "", "", err
		}
	}
	return action, version, nil
}

func named(value []byte) (string, error) {
	if len(value) > maximumNamed {
		return "", malformed("the value of a parameter cannot be read")
	}
	text, err := url.QueryUnescape(string(value))
	if err != nil || !utf8.ValidString(text) {
		return "", malformed("the value of a parameter cannot be read")
	}
	return text, nil
}
