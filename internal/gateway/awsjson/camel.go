package awsjson

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"reflect"

	"strongroom.dev/strongroom/internal/gateway/shapes"
)

// camel makes the reader of a struct whose members are not called as its fields are, as those of ACM's Filters.
func camel[T any]() func(*jsontext.Decoder, *T) error {
	members := shapes.Members(reflect.TypeFor[T]())
	var fields []reflect.StructField
	for _, m := range members {
		name := reflect.TypeFor[T]().Field(m.Field).Name
		fields = append(fields, reflect.StructField{Name: name, Type: m.Type, Tag: reflect.StructTag(`json:"` + m.Name + `"`)})
	}
	wire := reflect.StructOf(fields)
	return func(dec *jsontext.Decoder, into *T) error {
		read := reflect.New(wire)
		if err := json.UnmarshalDecode(dec, read.Interface()); err != nil {
			return err
		}
		to := reflect.ValueOf(into).Elem()
		for i, m := range members {
			to.Field(m.Field).Set(read.Elem().Field(i))
		}
		return nil
	}
}
