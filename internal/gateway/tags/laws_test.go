package tags_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/tags"
)

// byKey is tags as a map, which must lose none of them.
func byKey(t *testing.T, all []v1alpha1.Tag) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, tag := range all {
		if _, twice := out[tag.Key]; twice {
			t.Fatalf("%s is there twice: %v", tag.Key, all)
		}
		out[tag.Key] = tag.Value
	}
	return out
}

// Tags are a map from keys to values: putting sets, taking deletes, in whatever order and however often.
func TestTagsBehaveAsAMapFromKeysToValues(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 5))
	for range 200 {
		var now []v1alpha1.Tag
		model := map[string]string{}
		for range 30 {
			key, value := fmt.Sprint("k", random.IntN(12)), fmt.Sprint(random.IntN(3))
			switch random.IntN(3) {
			case 0:
				put, err := tags.Put(now, of(key, value))
				if err != nil {
					t.Fatal(err)
				}
				now, model[key] = put, value
			case 1:
				now = tags.Take(now, []tags.Taken{{Key: key}})
				delete(model, key)
			case 2:
				now = tags.Take(now, []tags.Taken{{Key: key, Value: &value}})
				if model[key] == value {
					delete(model, key)
				}
			}
			if got := byKey(t, now); fmt.Sprint(got) != fmt.Sprint(model) {
				t.Fatalf("seed %d: %v, want %v", seed, got, model)
			}
		}
		if sorted := tags.Sorted(now); !slices.IsSortedFunc(sorted, func(a, b v1alpha1.Tag) int { return strings.Compare(a.Key, b.Key) }) ||
			fmt.Sprint(byKey(t, sorted)) != fmt.Sprint(model) {
			t.Fatalf("seed %d: sorted: %v", seed, sorted)
		}
	}
}

func TestATagThatTakesTheFifthiethPlaceIsPutOnAndTheNextPutsNoneOn(t *testing.T) {
	var many []v1alpha1.Tag
	for i := range tags.Maximum - 1 {
		many = append(many, v1alpha1.Tag{Key: fmt.Sprint(i), Value: "v"})
	}
	full, err := tags.Put(many, of("last", ""))
	if err != nil || len(full) != tags.Maximum {
		t.Fatal(len(full), err)
	}
	if got, err := tags.Put(full, of("0", "changed", "one more", "")); !errors.Is(err, tags.ErrTooMany) || got != nil {
		t.Errorf("%d, %v", len(got), err)
	}
	if full[0].Value != "v" {
		t.Error("what was refused has changed a tag")
	}
	if room := tags.Take(full, []tags.Taken{{Key: "last"}}); len(room) != tags.Maximum-1 {
		t.Errorf("%d are left", len(room))
	}
}

func TestATagThatIsThereWithAnEmptyValueIsNotATagThatIsNotThere(t *testing.T) {
	k := &tags.Keys{Resource: of("empty", ""), Request: []v1alpha1.Tag{}}
	if got, ok := k.Values("aws:resourcetag/empty"); !ok || !slices.Equal(got, []string{""}) {
		t.Errorf("%q, %t", got, ok)
	}
	if _, ok := k.Values("aws:resourcetag/none"); ok {
		t.Error("a tag that there is not is there")
	}
	if got, ok := k.Values("aws:tagkeys"); !ok || len(got) != 0 {
		t.Errorf("a request that sets tags and has none: %q, %t", got, ok)
	}
	empty := ""
	if left := tags.Take(of("empty", "", "full", "x"), []tags.Taken{{Key: "empty", Value: &empty}, {Key: "full", Value: &empty}}); len(left) != 1 || left[0].Key != "full" {
		t.Errorf("%v", left)
	}
}

func TestKeysOfAWSsOwnAreToldByTheirBeginningAlone(t *testing.T) {
	for key, reserved := range map[string]bool{
		"aws:": true, "aws:x": true, "Aws:x": true, "aWS:cloudformation:stack-name": true, "aws": false, "awsx": false, "x-aws:": false, " aws:x": false,
	} {
		if err := tags.Check(of(key, "v")); errors.Is(err, tags.ErrReserved) != reserved || (err == nil) == reserved {
			t.Errorf("%q: %v", key, err)
		}
	}
}
