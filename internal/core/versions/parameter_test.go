package versions_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/versions"
)

// numbered is an index of n versions; labels are by number.
func numbered(n int, labels map[int][]string) versions.Index {
	var ix versions.Index
	for i := 1; i <= n; i++ {
		ix = append(ix, versions.Version{ID: versions.Number(int64(i)), Sequence: int64(i), Stages: labels[i]})
	}
	return ix
}

func ids(ix versions.Index) (out []string) {
	for _, v := range ix {
		out = append(out, v.ID)
	}
	return out
}

func TestTheOldestOfAHundredVersionsMakesRoomUnlessItHasALabel(t *testing.T) {
	for name, tt := range map[string]struct {
		ix     versions.Index
		full   bool
		length int
		gone   []string
	}{
		"none":                               {nil, false, 0, nil},
		"a hundred":                          {numbered(100, nil), false, 100, nil},
		"one more":                           {numbered(101, nil), false, 100, []string{"1"}},
		"three more":                         {numbered(103, nil), false, 100, []string{"1", "2", "3"}},
		"ninety-nine, of which one labelled": {numbered(99, map[int][]string{1: {"a"}}), false, 99, nil},
		"a hundred, the oldest labelled":     {numbered(100, map[int][]string{1: {"a"}}), true, 100, nil},
		"a hundred, the second labelled":     {numbered(100, map[int][]string{2: {"a"}}), false, 100, nil},
		"one more, the oldest labelled":      {numbered(101, map[int][]string{1: {"a"}}), true, 100, []string{"2"}},
	} {
		t.Run(name, func(t *testing.T) {
			if full := errors.Is(tt.ix.CheckRoom(), versions.ErrHistoryFull); full != tt.full {
				t.Errorf("full: %t", full)
			}
			kept, gone := tt.ix.Trim()
			if len(kept) != tt.length || !slices.Equal(ids(gone), tt.gone) {
				t.Errorf("%d stay, %v go", len(kept), ids(gone))
			}
			if len(tt.ix) > 0 && kept.Last() != tt.ix.Last() {
				t.Error("the latest version goes")
			}
		})
	}
}

func TestTheLatestVersionStaysThoughAllOthersHaveLabels(t *testing.T) {
	labels := map[int][]string{}
	for i := 1; i <= 100; i++ {
		labels[i] = []string{fmt.Sprint("l", i)}
	}
	kept, gone := numbered(101, labels).Trim()
	if len(kept) != 101 || len(gone) != 0 {
		t.Errorf("%d stay, %d go", len(kept), len(gone))
	}
}

func TestALabelIsOnOneVersionAndItsMoveChangesNothingInPlace(t *testing.T) {
	before := numbered(3, map[int][]string{1: {"prod", "old"}})
	after, invalid, err := before.Label("3", []string{"prod", "new", "1st", "new"})
	if err != nil || !slices.Equal(invalid, []string{"1st"}) {
		t.Fatal(invalid, err)
	}
	for number, want := range map[int][]string{0: {"old"}, 1: nil, 2: {"new", "prod"}} {
		if !slices.Equal(after[number].Stages, want) {
			t.Errorf("version %d: %v", number+1, after[number].Stages)
		}
	}
	if !slices.Equal(before[0].Stages, []string{"prod", "old"}) {
		t.Error("the index was changed in place")
	}
}

func TestLabelsAreBounded(t *testing.T) {
	ten := strings.Split("a b c d e f g h i j", " ")
	ix, _, err := numbered(1, nil).Label("1", ten)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ix.Label("1", []string{"k"}); !errors.Is(err, versions.ErrTooManyLabels) {
		t.Error(err)
	}
	if _, _, err := ix.Label("2", []string{"k"}); !errors.Is(err, versions.ErrUnknown) {
		t.Error(err)
	}
	if again, _, err := ix.Label("1", ten); err != nil || len(again[0].Stages) != 10 {
		t.Error("the same labels again are more", err)
	}
}

func TestUnlabelTakesWhatIsThereAndTellsWhatIsNot(t *testing.T) {
	before := numbered(2, map[int][]string{1: {"a", "b"}, 2: {"c"}})
	after, removed, invalid, err := before.Unlabel("1", []string{"a", "c", "x"})
	if err != nil || !slices.Equal(removed, []string{"a"}) || !slices.Equal(invalid, []string{"c", "x"}) ||
		!slices.Equal(after[0].Stages, []string{"b"}) || !slices.Equal(after[1].Stages, []string{"c"}) || len(before[0].Stages) != 2 {
		t.Error(after, removed, invalid, err)
	}
	if _, _, _, err := before.Unlabel("3", nil); !errors.Is(err, versions.ErrUnknown) {
		t.Error(err)
	}
}

func TestWhatCanBeALabel(t *testing.T) {
	for label, want := range map[string]bool{
		"a": true, "Prod": true, "a1._-": true, strings.Repeat("a", 100): true, "-a": true, "myaws": true,
		"": false, "1a": false, "aws": false, "AWS-x": false, "ssmx": false, "a b": false, "ä": false, "a:b": false, strings.Repeat("a", 101): false,
	} {
		if got := versions.ValidLabel(label); got != want {
			t.Errorf("%q: %t", label, got)
		}
	}
}
