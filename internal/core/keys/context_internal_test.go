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

	"strongroom.dev/strongroom/internal/core/secretbytes"
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
			ordered := Ordered{}
			for _, name := range slices.Sorted(maps.Keys(c)) {
				ordered = append(ordered, Entry{name, c[name]})
			}
			if got := ordered.append(nil, part); !bytes.Equal(got, want) {
				t.Errorf("%d entries in order in %+v: %x, want %x", len(c), part, got, want)
			}
			if back := ordered.Context(); !maps.Equal(back, c) {
				t.Errorf("%d entries in order are %v, want %v", len(c), back, c)
			}
			for _, aad := range []AAD{c, ordered} {
				if size, err := aad.measure(part); err != nil || size != len(want) {
					t.Errorf("%d entries of a %T in %+v measure %d, %v; want %d", len(c), aad, part, size, err, len(want))
				}
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

func TestWhatIsSealedWithAContextOpensWithTheSameInOrderAndNoOther(t *testing.T) {
	key, header := secretbytes.Own(random(KeySize)), Header{Kind: KindSecretVersion}
	plaintext := secretbytes.Copy([]byte("hunter2"))
	same := []AAD{Context{"a": "1", "b": "2"}, Ordered{{"a", "1"}, {"b", "2"}}}
	others := []AAD{nil, Ordered{}, Ordered{{"b", "2"}, {"a", "1"}}, Ordered{{"a", "1"}}, Ordered{{"a", "1"}, {"b", "2"}, {"c", ""}}, Ordered{{"a1", ""}, {"b", "2"}}}
	for _, sealed := range same {
		blob, err := Seal(key, header, sealed, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		for _, opens := range same {
			if got, err := Open(key, header, opens, blob); err != nil || string(got.Reveal()) != "hunter2" {
				t.Errorf("a %T with a %T: %v", sealed, opens, err)
			}
		}
		for _, other := range others {
			if _, err := Open(key, header, other, blob); !errors.Is(err, ErrInvalidCiphertext) {
				t.Errorf("a %T with %v: %v", sealed, other, err)
			}
		}
	}
	blob, err := Seal(key, header, nil, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	for _, none := range []AAD{nil, Context(nil), Context{}, Ordered(nil), Ordered{}} {
		if _, err := Open(key, header, none, blob); err != nil {
			t.Errorf("nothing as %#v: %v", none, err)
		}
	}
}
