package page_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/gateway/page"
)

// entry has a key that others may have too, and an id that none has.
type entry struct{ key, id string }

func place(e *entry) page.Place { return page.Place{Of: "list", Key: e.key, ID: e.id} }

// Lists change between any two pages. What stays must come once, what comes must be in order, and nothing may come twice.
func TestWhatStaysInAListComesOnceWhateverElseComesAndGoes(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 4))
	for round := range 300 {
		some := func(prefix string, n int) (out []entry) {
			for i := range n {
				out = append(out, entry{fmt.Sprint("k", random.IntN(5)), fmt.Sprint(prefix, i)})
			}
			return out
		}
		stay := some("stay", random.IntN(20))
		most, descending := 1+random.IntN(5), random.IntN(2) == 0
		var got []entry
		var token *string
		for range 500 {
			after, err := page.After(token, "list")
			if err != nil {
				t.Fatal(err)
			}
			now := slices.Concat(stay, some(fmt.Sprint("passing", random.IntN(3)), random.IntN(6)))
			random.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
			shown, next, err := page.Cut(now, place, after, most, descending)
			if err != nil || len(shown) > most || next != nil && len(shown) != most {
				t.Fatalf("seed %d, round %d: a page of %d, %v", seed, round, len(shown), err)
			}
			got = append(got, shown...)
			if token = next; token == nil {
				break
			}
		}
		seen := map[entry]int{}
		for i, e := range got {
			if seen[e]++; seen[e] > 1 {
				t.Fatalf("seed %d, round %d: %v came twice", seed, round, e)
			}
			if i > 0 && (e.key > got[i-1].key) == descending && e.key != got[i-1].key {
				t.Fatalf("seed %d, round %d: %v behind %v, descending %t", seed, round, e, got[i-1], descending)
			}
		}
		for _, e := range stay {
			if seen[e] != 1 {
				t.Fatalf("seed %d, round %d: %v came %d times", seed, round, e, seen[e])
			}
		}
	}
}

func TestAPageThatIsJustFullIsTheLast(t *testing.T) {
	for n, more := range map[int]bool{0: false, 1: false, 2: false, 3: true} {
		list := make([]entry, n)
		for i := range list {
			list[i].id = fmt.Sprint(i)
		}
		shown, next, err := page.Cut(list, place, nil, 2, false)
		if err != nil || (next != nil) != more || len(shown) != min(n, 2) {
			t.Errorf("of %d: %d are shown, more: %t, %v", n, len(shown), next != nil, err)
		}
	}
}

func TestATokenTellsThePlaceOfAnEntryThatWasShownAndNothingElse(t *testing.T) {
	_, next, err := page.Cut([]entry{{"a", "1"}, {"b", "2"}, {"c", "hidden"}}, place, nil, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	text, err := base64.RawURLEncoding.DecodeString(*next)
	if err != nil || strings.Contains(string(text), "hidden") || !strings.Contains(string(text), `"2"`) {
		t.Errorf("%q, %v", text, err)
	}
}

func TestNamesWithAnySignsGoThroughTokens(t *testing.T) {
	list := []entry{{"a\x00\"\\", "ä"}, {"b\n", "\x7f"}, {"c", "😀"}}
	var token *string
	var got []entry
	for range list {
		after, err := page.After(token, "list")
		if err != nil {
			t.Fatal(err)
		}
		shown, next, err := page.Cut(slices.Clone(list), place, after, 1, false)
		if err != nil {
			t.Fatal(err)
		}
		got, token = append(got, shown...), next
	}
	if !slices.Equal(got, list) {
		t.Errorf("%q", got)
	}
}

func TestTextsThatAreNoTokensAreRefusedWithOneError(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	for _, text := range []string{
		"", "{}", encode([]byte("{}")), encode([]byte("null")), encode([]byte(`[]`)), encode([]byte(`"list"`)), encode([]byte(`{"o":1}`)),
		encode([]byte(`{"o":"list"`)), encode([]byte(`{"o":"LIST","k":"a","i":"b"}`)), encode([]byte("\xff\xfe")),
		base64.StdEncoding.EncodeToString([]byte(`{"o":"list","k":"a","i":"b"}`)), strings.Repeat("A", 1<<20),
	} {
		if p, err := page.After(&text, "list"); !errors.Is(err, page.ErrToken) || p != nil {
			t.Errorf("%.40q: %v, %v", text, p, err)
		}
	}
	if p, err := page.After(nil, "list"); p != nil || err != nil {
		t.Errorf("no token: %v, %v", p, err)
	}
}
