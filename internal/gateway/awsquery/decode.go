// Package awsquery is the codec of AWS's query protocol as a server speaks it: forms into the SDK's own input structs, the
// SDK's own output structs and errors into XML.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
//
// Requests are parsed strictly: no parameter twice, no value where a structure is, lists numbered from 1 without gaps, bounded
// in number and depth. Parameters that the struct lacks are ignored, as AWS ignores them, so that newer clients work.
// Members are called as the SDK calls them, with the first letter in either case; lists are LIST.member.N and maps are
// MAP.entry.N.key and .value: STS and IAM flatten none, and rename none.
package awsquery

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"strongroom.dev/strongroom/internal/gateway/shapes"
)

// The limits of a request.
const (
	// MaximumParameters of a form. The largest request of IAM, a simulation, has some thousands.
	MaximumParameters = shapes.MaximumEntries
	// MaximumDepth is how many parts the name of a parameter has. The deepest shape of STS and IAM needs 6.
	MaximumDepth = 8
	// maximumNodes are the parts of all names together: no shape needs more than four for a parameter, most one.
	maximumNodes = shapes.MaximumValues
	// maximumName is the longest name of a parameter in bytes.
	maximumName = 512
)

// ErrSerialization is AWS's MalformedInput: the form cannot be read, or is not of the operation's shape. Messages quote
// nothing of the form but names of parameters that the operation has.
var ErrSerialization = errors.New("MalformedInput")

// Measure is how many parts the names of a form's parameters have at most, of which each is a value or a structure. It makes nothing
// of them. It fails if there are more parameters than MaximumParameters.
func Measure(form []byte) (values int, err error) {
	if bytes.Count(form, []byte("&"))+1 > MaximumParameters {
		return 0, tooMany()
	}
	for part := range bytes.SplitSeq(form, []byte("&")) {
		name, _, _ := bytes.Cut(part, []byte("="))
		values += 1 + bytes.Count(name, []byte(".")) + bytes.Count(name, []byte("%2E")) + bytes.Count(name, []byte("%2e"))
	}
	return min(values, maximumNodes), nil
}

func tooMany() error { return malformed("there are more than %d parameters", MaximumParameters) }

// NodeSize is how many bytes a part of a name takes, before the form is read into a struct: a node, and its table of eight children.
const NodeSize = 384

// Form is a request's parameters.
type Form struct {
	// Action and Version name the operation.
	Action, Version string

	root  node
	nodes int
}

// node is a parameter, or what its name leads to.
type node struct {
	value    string
	set      bool
	children map[string]*node
}

// Parse reads a form: the body of a POST, or the query of a GET, whose X-Amz-… parameters are the signature's. Errors wrap
// ErrSerialization.
func Parse(text string) (*Form, error) {
	if strings.Count(text, "&")+1 > MaximumParameters {
		return nil, tooMany()
	}
	form := &Form{}
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil || len(name) > maximumName || !utf8.ValidString(name) {
			return nil, malformed("the name of a parameter cannot be read")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil || !utf8.ValidString(value) {
			return nil, malformed("the value of a parameter cannot be read")
		}
		if err := form.add(name, value); err != nil {
			return nil, err
		}
	}
	form.Action, form.Version = form.text("Action"), form.text("Version")
	return form, nil
}

func (f *Form) text(name string) string {
	if n := f.root.children[name]; n != nil {
		return n.value
	}
	return ""
}

func (f *Form) add(name, value string) error {
	if strings.Count(name, ".") >= MaximumDepth {
		return malformed("the name of a parameter has more than %d parts", MaximumDepth)
	}
	at := &f.root
	for part := range strings.SplitSeq(name, ".") {
		if at.children == nil {
			at.children = map[string]*node{}
		}
		next := at.children[part]
		if next == nil {
			if f.nodes++; f.nodes > maximumNodes {
				return malformed("the names of the parameters have more than %d parts", maximumNodes)
			}
			next = &node{}
			at.children[part] = next
		}
		at = next
	}
	if at.set {
		return malformed("a parameter is there twice")
	}
	at.value, at.set = value, true
	return nil
}

// Decode reads a form's parameters into an input struct. Errors wrap ErrSerialization.
func (f *Form) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("awsquery: %T is not a pointer to a struct", into))
	}
	return decodeStruct(&f.root, v.Elem(), "")
}

// Decode is Parse and Form.Decode.
func Decode(body []byte, into any) error {
	form, err := Parse(string(body))
	if err != nil {
		return err
	}
	return form.Decode(into)
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSerialization}, args...)...)
}

func decode(n *node, v reflect.Value, at string) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decode(n, v.Elem(), at)
	case reflect.Struct:
		if v.Type() != reflect.TypeFor[time.Time]() {
			if n.set && n.value != "" {
				return malformed("%s is a structure, not a value", at)
			}
			return decodeStruct(n, v, at+".")
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			return decodeList(n, v, at)
		}
	case reflect.Map:
		return decodeMap(n, v, at)
	}
	if len(n.children) > 0 {
		return malformed("%s is a value, not a structure", at)
	}
	return decodeScalar(n.value, v, at)
}

func decodeStruct(n *node, v reflect.Value, prefix string) error {
	for _, m := range shapes.Members(v.Type()) {
		child, lower := n.children[m.Name], n.children[lowerFirst(m.Name)]
		if child != nil && lower != nil {
			return malformed("%s%s is there twice", prefix, m.Name)
		}
		if child == nil {
			child = lower
		}
		if child == nil {
			continue
		}
		if err := decode(child, v.Field(m.Field), prefix+m.Name); err != nil {
			return err
		}
	}
	return nil
}

func lowerFirst(name string) string {
	return string(unicode.ToLower(rune(name[0]))) + name[1:]
}

// entries are the numbered nodes under a list's member or a map's entry. A list that is there and empty is LIST= without
// more.
func entries(n *node, under, at string) ([]*node, error) {
	if n.set && n.value != "" {
		return nil, malformed("%s is a list, not a value", at)
	}
	if len(n.children) == 0 {
		return nil, nil
	}
	numbered := n.children[under]
	if numbered == nil || len(n.children) > 1 || numbered.set {
		return nil, malformed("what is under %s is called %s.%s.1, %s.%s.2, …", at, at, under, at, under)
	}
	out := make([]*node, len(numbered.children))
	for name, child := range numbered.children {
		i, err := strconv.Atoi(name)
		if err != nil || i < 1 || i > len(out) || strconv.Itoa(i) != name {
			return nil, malformed("%s is numbered from 1, without gaps", at)
		}
		out[i-1] = child
	}
	return out, nil
}

func decodeList(n *node, v reflect.Value, at string) error {
	items, err := entries(n, "member", at)
	if err != nil {
		return err
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if err := decode(item, list.Index(i), fmt.Sprintf("%s.member.%d", at, i+1)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func decodeMap(n *node, v reflect.Value, at string) error {
	items, err := entries(n, "entry", at)
	if err != nil {
		return err
	}
	out := reflect.MakeMapWithSize(v.Type(), len(items))
	for i, item := range items {
		at := fmt.Sprintf("%s.entry.%d", at, i+1)
		key, value := item.children["key"], item.children["value"]
		if key == nil || value == nil || len(item.children) != 2 || item.set || len(key.children) > 0 {
			return malformed("%s has a key and a value", at)
		}
		k := reflect.New(v.Type().Key()).Elem()
		k.SetString(key.value)
		if out.MapIndex(k).IsValid() {
			return malformed("the key of %s is there twice", at)
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := decode(value, element, at+".value"); err != nil {
			return err
		}
		out.SetMapIndex(k, element)
	}
	v.Set(out)
	return nil
}

func decodeScalar(text string, v reflect.Value, at string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		if text != "true" && text != "false" {
			return malformed("%s is true or false", at)
		}
		v.SetBool(text == "true")
		return nil
	case reflect.Int32, reflect.Int64, reflect.Float64, reflect.Float32:
		return decodeNumber(text, v, at)
	case reflect.Slice:
		blob, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return malformed("%s is not base64", at)
		}
		v.SetBytes(blob)
		return nil
	case reflect.Struct:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil || t.Year() < 0 || t.Year() > 9999 {
			return malformed("%s is not a time such as 2026-01-02T03:04:05Z", at)
		}
		v.Set(reflect.ValueOf(t.UTC()))
		return nil
	}
	return malformed("%s cannot be sent in a form", at)
}

func decodeNumber(text string, v reflect.Value, at string) error {
	if v.CanInt() {
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return malformed("%s is not an integer of %d bits", at, v.Type().Bits())
		}
		v.SetInt(i)
		return nil
	}
	f, err := strconv.ParseFloat(text, v.Type().Bits())
	if err != nil || f != f {
		return malformed("%s is not a number", at)
	}
	v.SetFloat(f)
	return nil
}
