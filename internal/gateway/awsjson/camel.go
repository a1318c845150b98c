package awsjson

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"reflect"
	"strings"
)

// camel makes the reader of a struct whose members all begin with a small letter on the wire, unlike its fields, as those of ACM's Filters do.
// Without it such members would be passed over, as if the caller had not asked to filter.
func camel[T any]() func(*jsontext.Decoder, *T) error {
	from := reflect.TypeFor[T]()
	var fields []reflect.StructField
	for f := range from.Fields() {
		if f.IsExported() {
			tag := reflect.StructTag(`json:"` + strings.ToLower(f.Name[:1]) + f.Name[1:] + `"`)
			fields = append(fields, reflect.StructField{Name: f.Name, Type: f.Type, Tag: tag})
		}
	}
	wire := reflect.StructOf(fields)
	return func(dec *jsontext.Decoder, into *T) error {
		read := reflect.New(wire)
		if err := json.UnmarshalDecode(dec, read.Interface()); err != nil {
			return err
		}
		to := reflect.ValueOf(into).Elem()
		for i := range fields {
			to.FieldByName(fields[i].Name).Set(read.Elem().Field(i))
		}
		return nil
	}
}
