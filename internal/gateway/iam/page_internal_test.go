package iam

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aws/smithy-go"
)

func self(s string) string { return s }

// walk reads a list to its end, and has change make another list of it after each page.
func walk(t *testing.T, all []string, size int32, change func([]string) []string) (seen []string, pages int) {
	t.Helper()
	var marker *string
	for {
		p, err := paged(slices.Clone(all), self, asked{of: "list", marker: marker, size: &size})
		if err != nil {
			t.Fatal(err)
		}
		pages++
		seen = append(seen, p.items...)
		if p.truncated != (p.marker != nil) {
			t.Fatalf("truncated is %t and the marker %v", p.truncated, p.marker)
		}
		if !p.truncated {
			return seen, pages
		}
		if len(p.items) != int(size) {
			t.Fatalf("a page before the last has %d of %d items", len(p.items), size)
		}
		if marker = p.marker; change != nil {
			all = change(all)
		}
	}
}

func TestPagesHaveEachItemOnceInOrderForEverySize(t *testing.T) {
	for n := range 12 {
		var all, want []string
		for i := range n {
			all = append(all, fmt.Sprintf("name-%02d", i))
		}
		want = slices.Clone(all)
		rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
		for size := int32(1); size <= 13; size++ {
			seen, pages := walk(t, all, size, nil)
			if !slices.Equal(seen, want) {
				t.Fatalf("%d items by %d: %v", n, size, seen)
			}
			if most := max(1, (n+int(size)-1)/int(size)); pages != most {
				t.Fatalf("%d items by %d are %d pages and not %d", n, size, pages, most)
			}
		}
	}
}

func TestWhatComesAndGoesMeanwhileHidesNothingElseAndRepeatsNothing(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	for round := range 300 {
		stays := map[string]bool{}
		var all []string
		for i := range 20 {
			name := fmt.Sprintf("n%02d", i)
			all = append(all, name)
			stays[name] = random.IntN(2) == 0
		}
		seen, _ := walk(t, all, int32(1+random.IntN(6)), func(all []string) []string {
			gone := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !stays[name] && random.IntN(3) == 0 })
			return append(gone, fmt.Sprintf("n%02d-new%d", random.IntN(20), random.IntN(1000)))
		})
		count := map[string]int{}
		for _, name := range seen {
			if count[name]++; count[name] > 1 {
				t.Fatalf("seed %d, round %d: %s comes twice in %v", seed, round, name, seen)
			}
		}
		for name, stayed := range stays {
			if stayed && count[name] == 0 {
				t.Fatalf("seed %d, round %d: %s was there all the time, and is not in %v", seed, round, name, seen)
			}
		}
	}
}

func TestAPageHasAHundredItemsIfTheRequestNamesNoNumber(t *testing.T) {
	var all []string
	for i := range usualPage + 1 {
		all = append(all, fmt.Sprintf("%03d", i))
	}
	p, err := paged(slices.Clone(all), self, asked{of: "list"})
	if err != nil || len(p.items) != 100 || !p.truncated {
		t.Fatalf("%d items, truncated %t, %v", len(p.items), p.truncated, err)
	}
	if p, err = paged(all[:usualPage], self, asked{of: "list"}); err != nil || len(p.items) != 100 || p.truncated || p.marker != nil {
		t.Fatalf("a hundred are one page: %d items, truncated %t, %v", len(p.items), p.truncated, err)
	}
}

func TestAMarkerThatNoAnswerHadIsRefused(t *testing.T) {
	for _, marker := range []string{"!", "=", "a", "YQ==", "YQ", "\x00", "ünicode", *asked{of: "other"}.next("a"), *asked{of: "lis"}.next("t/a"), ""} {
		_, err := paged([]string{"a"}, self, asked{of: "list", marker: &marker})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "ValidationError" || api.ErrorMessage() != "Invalid Marker." {
			t.Errorf("%q: %v", marker, err)
		}
	}
	after := asked{of: "list"}.next("zz")
	if p, err := paged([]string{"a", "b"}, self, asked{of: "list", marker: after}); err != nil || len(p.items) != 0 || p.truncated {
		t.Errorf("after the last there is nothing: %v, %v", p, err)
	}
}

func FuzzAMarkerIsRefusedOrOneOfItsList(f *testing.F) {
	for _, marker := range []string{"", "!", *asked{of: "list"}.next("a"), *asked{of: "list"}.next(""), *asked{of: "other"}.next("a")} {
		f.Add(marker)
	}
	f.Fuzz(func(t *testing.T, marker string) {
		name, found, err := asked{of: "list", marker: &marker}.after()
		if err == nil && (!found || *asked{of: "list"}.next(name) == "") || err != nil && (found || name != "") {
			t.Errorf("%q is read as %q, %t, %v", marker, name, found, err)
		}
	})
}
