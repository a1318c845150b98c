package tags_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/tags"
)

func of(pairs ...string) (out []v1alpha1.Tag) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, v1alpha1.Tag{Key: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func TestPoliciesAskForTagsWhateverTheirCase(t *testing.T) {
	k := &tags.Keys{Resource: of("Team", "shop"), Request: of("Stage", "prod", "Empty", "")}
	for key, want := range map[string][]string{
		"aws:resourcetag/team": {"shop"}, "aws:requesttag/stage": {"prod"}, "aws:requesttag/empty": {""}, "aws:tagkeys": {"Stage", "Empty"},
	} {
		if got, ok := k.Values(key); !ok || !slices.Equal(got, want) {
			t.Errorf("%s is %q, %t; want %q", key, got, ok, want)
		}
	}
	for _, key := range []string{"aws:resourcetag/stage", "aws:requesttag/team", "aws:resourcetag/", "other"} {
		if got, ok := k.Values(key); ok {
			t.Errorf("%s is there: %q", key, got)
		}
	}
	if _, ok := (&tags.Keys{}).Values("aws:tagkeys"); ok {
		t.Error("a request without tags has tag keys")
	}
}

func TestTagsThatCannotBePutOn(t *testing.T) {
	for _, test := range []struct {
		tags []v1alpha1.Tag
		want error
	}{
		{of("aws:x", ""), tags.ErrReserved}, {of("AWS:x", ""), tags.ErrReserved}, {of("a", "", "A", ""), tags.ErrDuplicate},
		{of("a", "1", "a", "1"), tags.ErrDuplicate}, {of("a", "", "b", "", "awsx", ""), nil}, {nil, nil},
	} {
		if err := tags.Check(test.tags); !errors.Is(err, test.want) {
			t.Errorf("%v: %v, want %v", test.tags, err, test.want)
		}
	}
}

func TestTagsArePutOnAndTakenOffWithoutChangingWhatWasThere(t *testing.T) {
	before := of("a", "1", "b", "2")
	put, err := tags.Put(before, of("b", "3", "c", "4"))
	if err != nil || !slices.Equal(put, of("a", "1", "b", "3", "c", "4")) {
		t.Errorf("put on: %v, %v", put, err)
	}
	value, other := "1", "9"
	taken := tags.Take(put, []tags.Taken{{Key: "a", Value: &value}, {Key: "b", Value: &other}, {Key: "c"}, {Key: "none"}})
	if !slices.Equal(taken, of("b", "3")) {
		t.Errorf("taken off: %v", taken)
	}
	if !slices.Equal(before, of("a", "1", "b", "2")) {
		t.Errorf("what was there is %v now", before)
	}
	if got := tags.Sorted(of("b", "", "a", "")); !slices.Equal(got, of("a", "", "b", "")) {
		t.Errorf("sorted: %v", got)
	}
}

func TestThereAreAtMostFiftyTags(t *testing.T) {
	var many []v1alpha1.Tag
	for i := range tags.Maximum {
		many = append(many, v1alpha1.Tag{Key: fmt.Sprint(i)})
	}
	if _, err := tags.Put(nil, many); err != nil {
		t.Error(err)
	}
	if _, err := tags.Put(many, of("0", "again")); err != nil {
		t.Error(err)
	}
	if _, err := tags.Put(many, of("x", "")); !errors.Is(err, tags.ErrTooMany) {
		t.Error(err)
	}
}

// TestPoliciesSeeEachTagWhoseKeyDiffersInCaseAlone: keys of tags have a case, and keys of conditions have none.
func TestPoliciesSeeEachTagWhoseKeyDiffersInCaseAlone(t *testing.T) {
	on := of("team", "red")
	for _, key := range []string{"Team", "TEAM", "tEAM"} {
		var err error
		if on, err = tags.Put(on, of(key, "blue")); err != nil {
			t.Fatal(err)
		}
	}
	if len(on) != 4 {
		t.Fatalf("AWS lets them stand side by side: %v", on)
	}
	sees := func(want ...string) {
		t.Helper()
		if got, ok := (&tags.Keys{Resource: on}).Values("aws:resourcetag/team"); !ok || !slices.Equal(got, want) {
			t.Errorf("a policy sees %q, not %s", got, want)
		}
	}
	sees("red", "blue", "blue", "blue")
	on, _ = tags.Put(on, of("Team", "green"))
	sees("red", "green", "blue", "blue")
	on = tags.Take(on, []tags.Taken{{Key: "TEAM"}, {Key: "tEAM"}, {Key: "Team"}})
	sees("red")
	if tags.Check(of("team", "", "Team", "")) == nil {
		t.Error("one request sets both")
	}
}
