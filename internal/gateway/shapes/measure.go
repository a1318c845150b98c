package shapes

import (
	"fmt"
	"reflect"
	"time"
)

// The failures of a request that is too large to be made anything of. They wrap ErrSerialization.
var (
	ErrTooDeep     = fmt.Errorf("%w: lists, maps and structures are nested more than %d deep", ErrSerialization, MaximumDepth)
	ErrManyEntries = fmt.Errorf("%w: a list, a map or a structure has more than %d entries", ErrSerialization, MaximumEntries)
	ErrManyValues  = fmt.Errorf("%w: there are more than %d values", ErrSerialization, MaximumValues)
)

// smallest is what any value takes at least: a string's head, a pointer to it, and the allocator's rounding.
const smallest = 48

// Heaviest is how many bytes one value of a request can make at most when it is read into a type, its text not counted: the largest
// of the structs, entries of lists and entries of maps that the type holds. Lists and maps grow by doubling, which is in it.
func Heaviest(t reflect.Type) int {
	return heaviest(t, map[reflect.Type]bool{})
}

func heaviest(t reflect.Type, seen map[reflect.Type]bool) int {
	if seen[t] || t == reflect.TypeFor[time.Time]() {
		return smallest
	}
	seen[t] = true
	size := smallest
	switch t.Kind() {
	case reflect.Pointer:
		size = max(int(t.Elem().Size()), heaviest(t.Elem(), seen))
	case reflect.Slice:
		size = max(2*int(t.Elem().Size()), heaviest(t.Elem(), seen))
	case reflect.Map: // a table of at least eight entries
		size = max(8*int(t.Key().Size()+t.Elem().Size()), heaviest(t.Elem(), seen))
	case reflect.Struct:
		size = max(size, int(t.Size()))
		for _, m := range Members(t) {
			size = max(size, heaviest(m.Type, seen))
		}
	}
	return max(size, smallest)
}
