package keys

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// encodedAsEver is the encoding as it was written down for blobs that are kept, from the map itself.
func encodedAsEver(c Context) (b []byte) {
	b = binary.BigEndian.AppendUint32(b, uint32(len(c)))
	for _, name := range slices.Sorted(maps.Keys(c)) {
		for _, text := range []string{name, c[name]} {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
		}
	}
	return b
}

// larger is the context that a Part stands for.
func larger(c Context, part Part) Context {
	out := Context{}
	for name, value := range c {
		out[part.Prefix+name] = value
	}
	if part.Name != "" {
		out[part.Name] = part.Value
	}
	return out
}

// TestAPartIsEncodedAsTheLargerContextThatItIsIn: what was sealed before there were parts opens.
func TestAPartIsEncodedAsTheLargerContextThatItIsIn(t *testing.T) {
	many := Context{}
	for i := range 100 {
		many[fmt.Sprint("name-", i*7919%100)] = strings.Repeat("v", i)
	}
	for _, c := range []Context{nil, {}, {"a": "b"}, {"": ""}, {"b": "1", "a": "2", "a/": "3", "strongroom/epoch": "4", "\xff": "5"}, many} {
		for _, part := range []Part{{}, {Prefix: "c/", Name: "strongroom/epoch", Value: "12"}, {Prefix: "c/"}} {
			want := encodedAsEver(larger(c, part))
			if got := c.append(nil, part); !bytes.Equal(got, want) {
				t.Errorf("%d entries in %+v: %x, want %x", len(c), part, got, want)
			}
			if size, err := c.measure(part); err != nil || size != len(want) {
				t.Errorf("%d entries in %+v measure %d, %v; want %d", len(c), part, size, err, len(want))
			}
		}
	}
}

// TestTheLimitOfAContextCountsAllNamesAndValues, those of a part too.
func TestTheLimitOfAContextCountsAllNamesAndValues(t *testing.T) {
	part := Part{Prefix: "c/", Name: "name", Value: "value"}
	for _, tt := range []struct {
		value int
		part  Part
		over  bool
	}{
		{MaxContext - 1, Part{}, false}, {MaxContext, Part{}, true},
		{MaxContext - 1 - 2 - 9, part, false}, {MaxContext - 1 - 2 - 8, part, true},
	} {
		c := Context{"n": strings.Repeat("v", tt.value)}
		if _, err := c.measure(tt.part); errors.Is(err, ErrTooLarge) != tt.over {
			t.Errorf("%d bytes in %+v: %v", tt.value, tt.part, err)
		}
	}
}

// TestEncodingAContextOfUsualSizeMakesOneObject, which is its bytes.
func TestEncodingAContextOfUsualSizeMakesOneObject(t *testing.T) {
	c, part := Context{}, Part{Prefix: "c/", Name: "strongroom/epoch", Value: "1"}
	for i := range 12 {
		c[fmt.Sprint(i)] = "value"
	}
	size, err := c.measure(part)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = c.append(make([]byte, 0, size), part) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
