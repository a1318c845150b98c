package parameterstore_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

func places(n int) (out []parameterstore.Place) {
	for i := range n {
		out = append(out, parameterstore.Place{Canonical: fmt.Sprintf("p/%05d", i), Object: fmt.Sprintf("o-%d", i)})
	}
	return out
}

// listOf is a list of a namespace.
func listOf(text string) parameterstore.ListingKey {
	return parameterstore.ListingKey{Namespace: "default", Of: sha256.Sum256([]byte(text))}
}

// order is a list of n entries as of a resource version.
func order(n int, asOf string) parameterstore.Order {
	return parameterstore.Order{Places: places(n), AsOf: asOf}
}

func TestAListIsRememberedForItsNextPages(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	all := places(5)
	twice := slices.Insert(slices.Clone(all), 2, parameterstore.Place{Canonical: "p/00001", Object: "younger"})
	for name, tt := range map[string]struct {
		list  []parameterstore.Place
		after string
		at    time.Duration
		want  []parameterstore.Place
		known bool
	}{
		"from an entry on":                 {all, "p/00001", 0, all[2:], true},
		"from before the first on":         {all, "a", 0, all, true},
		"from between two on":              {all, "p/00001x", 0, all[2:], true},
		"behind the last there is none":    {all, "p/00004", 0, nil, true},
		"behind all that claim one name":   {twice, "p/00001", 0, all[2:], true},
		"for a minute":                     {all, "p/00003", time.Minute - 1, all[4:], true},
		"and no longer":                    {all, "p/00003", time.Minute, nil, false},
		"nor when the clock is set back":   {all, "p/00003", -1, nil, false},
		"an empty list has nothing behind": {nil, "p/00003", 0, nil, true},
	} {
		l := &parameterstore.Listings{}
		l.Remember(listOf("list"), parameterstore.Order{Places: tt.list, AsOf: "9"}, now)
		got, known := l.Behind(listOf("list"), tt.after, "9", now.Add(tt.at))
		if known != tt.known || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %t", name, got, known)
		}
		if _, known := l.Behind(listOf("other"), tt.after, "9", now); known {
			t.Errorf("%s: another list is known", name)
		}
	}
	var none *parameterstore.Listings
	none.Remember(listOf("list"), parameterstore.Order{Places: all, AsOf: "9"}, now)
	if _, known := none.Behind(listOf("list"), "", "9", now); known {
		t.Error("nothing remembers")
	}
}

func TestTheNextPagesOfAListComeFromNoOrderThatIsOlderThanTheFirst(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		remembered []string // in this order
		first      string   // what the first page came from
		want       int      // how many entries the order has that the next page goes on in, 0 if it is listed anew
	}{
		"its own":                                {[]string{"10"}, "10", 10},
		"a newer one that somebody has seen":     {[]string{"9", "10"}, "9", 10},
		"not one that is older":                  {[]string{"9"}, "10", 0},
		"also where texts compare otherwise":     {[]string{"99"}, "100", 0},
		"not an older one that was slow to come": {[]string{"10", "9"}, "10", 10},
		"nor is an unknown one newer":            {[]string{"10", ""}, "10", 10},
		"an unknown one is older than all":       {[]string{""}, "1", 0},
		"one whose first page is unknown is any": {[]string{"10"}, "", 10},
	} {
		l := &parameterstore.Listings{}
		for _, asOf := range tt.remembered {
			n, _ := strconv.Atoi(asOf)
			l.Remember(listOf("list"), order(n, asOf), now)
		}
		got, known := l.Behind(listOf("list"), "", tt.first, now)
		if known != (tt.want > 0) || len(got) != tt.want {
			t.Errorf("%s: %d entries, %t", name, len(got), known)
		}
	}
	l := &parameterstore.Listings{}
	l.Remember(listOf("list"), order(10, "10"), now)
	l.Remember(listOf("list"), order(9, "9"), now.Add(time.Minute))
	if got, known := l.Behind(listOf("list"), "", "9", now.Add(time.Minute)); !known || len(got) != 9 {
		t.Error("a newer order that is too old to be used is in the way of another")
	}
}

func TestAnOrderIsAsOfItsNewestEntry(t *testing.T) {
	var all []*v1alpha1.Parameter
	for name, version := range map[string]string{"a": "7", "b": "1234", "c": "999"} {
		all = append(all, &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}})
	}
	slices.SortFunc(all, func(p, q *v1alpha1.Parameter) int { return strings.Compare(p.Name, q.Name) })
	got := parameterstore.OrderOf(all)
	want := []parameterstore.Place{{Canonical: "a", Object: "a"}, {Canonical: "b", Object: "b"}, {Canonical: "c", Object: "c"}}
	if got.AsOf != "1234" || !slices.Equal(got.Places, want) {
		t.Errorf("%+v", got)
	}
	if none := parameterstore.OrderOf(nil); none.AsOf != "" || len(none.Places) > 0 {
		t.Errorf("%+v", none)
	}
	for text, good := range map[string]bool{"1": true, "1234": true, strings.Repeat("9", 40): true, strings.Repeat("9", 41): false, "": false, "0": false, "01": false, "-1": false, "1 ": false, "x": false} {
		if parameterstore.CheckAsOf(text) != good {
			t.Errorf("%q is taken for the other of the two", text)
		}
	}
}

func TestListsThatAreRememberedAreBounded(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	l := &parameterstore.Listings{}
	known := func(of string, at time.Time) bool { _, is := l.Behind(listOf(of), "", "", at); return is }
	name := func(i int) string { return fmt.Sprint("list ", i) }
	for i := range 300 {
		l.Remember(listOf(name(i)), order(1, "1"), now.Add(time.Duration(i)))
	}
	end := now.Add(300)
	if known(name(43), end) || !known(name(44), end) || !known(name(299), end) {
		t.Error("of 300 lists the newest 256 are not those that are known")
	}
	many := order(400_000, "1")
	for i := range 3 {
		l.Remember(listOf(fmt.Sprint("long ", i)), many, end.Add(time.Duration(i)))
	}
	end = end.Add(3)
	if known("long 0", end) || !known("long 1", end) || !known("long 2", end) {
		t.Error("three long lists are more than a million entries: the oldest is to go")
	}
	l.Remember(listOf("long 2"), order(1, "1"), end)
	l.Remember(listOf("long 3"), many, end)
	if !known("long 1", end) || !known("long 2", end) || !known("long 3", end) {
		t.Error("a list that is replaced has given its room back")
	}
	l.Remember(listOf("far too long"), order(1_200_000, "1"), end)
	if known("far too long", end) || !known("long 3", end) {
		t.Error("a list that is longer than all may be is kept, or others went for it")
	}
}

func TestWhoListsMostLosesAnOrderFirst(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	mine := parameterstore.ListingKey{Namespace: "mine"}
	for name, others := range map[string]struct{ lists, entries int }{
		"of many lists": {1000, 1}, "of long lists": {40, 200_000},
	} {
		l := &parameterstore.Listings{}
		l.Remember(mine, order(5, "1"), now) // the oldest of all
		for i := range others.lists {
			at := now.Add(time.Duration(i + 1))
			key := listOf(fmt.Sprint(i))
			l.Remember(key, order(others.entries, "1"), at)
			if _, known := l.Behind(key, "", "", at); !known {
				t.Fatalf("%s: the newest, %d, is not remembered", name, i)
			}
		}
		if got, known := l.Behind(mine, "", "", now.Add(time.Second)); !known || len(got) != 5 {
			t.Errorf("%s: another namespace's have pushed it out", name)
		}
		if _, known := l.Behind(listOf("0"), "", "", now.Add(time.Second)); known {
			t.Errorf("%s: nothing is forgotten", name)
		}
	}
}
