package page_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"strongroom.dev/strongroom/internal/gateway/page"
)

func at(s *string) page.Place { return page.Place{Of: "list", Key: (*s)[:1], ID: *s} }

func TestPagesTogetherAreTheListInOrder(t *testing.T) {
	list := []string{"c1", "a2", "b1", "a1", "c2"}
	for _, descending := range []bool{false, true} {
		want := slices.Sorted(slices.Values(list))
		if descending {
			slices.Reverse(want)
		}
		for most := 1; most <= 6; most++ {
			var got []string
			var token *string
			for {
				after, err := page.After(token, "list")
				if err != nil {
					t.Fatal(err)
				}
				shown, next, err := page.Cut(slices.Clone(list), at, after, most, descending)
				if err != nil || len(shown) > most {
					t.Fatal(len(shown), err)
				}
				got = append(got, shown...)
				if token = next; token == nil {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d are %v, want %v", most, got, want)
			}
		}
	}
}

func TestWhatGoesAndComesBetweenTwoPagesMovesNothing(t *testing.T) {
	_, next, err := page.Cut([]string{"a", "b", "c", "d"}, at, nil, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	after, err := page.After(next, "list")
	if err != nil {
		t.Fatal(err)
	}
	if shown, _, _ := page.Cut([]string{"0", "a", "c", "d"}, at, after, 2, false); fmt.Sprint(shown) != "[c d]" {
		t.Errorf("the second page is %v", shown)
	}
}

func TestATokenIsOfItsListAlone(t *testing.T) {
	_, next, err := page.Cut([]string{"a", "b"}, at, nil, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{*next + "x", "", "!", "bnVsbA", *next} {
		if _, err := page.After(&token, "other"); !errors.Is(err, page.ErrToken) {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func FuzzAfter(f *testing.F) {
	f.Add("eyJvIjoibGlzdCIsImsiOiJhIiwiaSI6ImEifQ")
	f.Fuzz(func(t *testing.T, token string) {
		if p, err := page.After(&token, "list"); err == nil && p.Of != "list" {
			t.Errorf("%q is of %q", token, p.Of)
		}
	})
}
