package parameterstore_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/service/parameterstore"
)

func places(n int) (out []parameterstore.Place) {
	for i := range n {
		out = append(out, parameterstore.Place{Canonical: fmt.Sprintf("p/%05d", i), Object: fmt.Sprintf("o-%d", i)})
	}
	return out
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
		l.Remember("list", tt.list, now)
		got, known := l.Behind("list", tt.after, now.Add(tt.at))
		if known != tt.known || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %t", name, got, known)
		}
		if _, known := l.Behind("other", tt.after, now); known {
			t.Errorf("%s: another list is known", name)
		}
	}
	var none *parameterstore.Listings
	none.Remember("list", all, now)
	if _, known := none.Behind("list", "", now); known {
		t.Error("nothing remembers")
	}
}

func TestListsThatAreRememberedAreBounded(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	l := &parameterstore.Listings{}
	known := func(of string, at time.Time) bool { _, is := l.Behind(of, "", at); return is }
	name := func(i int) string { return fmt.Sprint("list ", i) }
	for i := range 300 {
		l.Remember(name(i), places(1), now.Add(time.Duration(i)))
	}
	end := now.Add(300)
	if known(name(43), end) || !known(name(44), end) || !known(name(299), end) {
		t.Error("of 300 lists the newest 256 are not those that are known")
	}
	many := places(400_000)
	for i := range 3 {
		l.Remember(fmt.Sprint("long ", i), many, end.Add(time.Duration(i)))
	}
	end = end.Add(3)
	if known("long 0", end) || !known("long 1", end) || !known("long 2", end) {
		t.Error("three long lists are more than a million entries: the oldest is to go")
	}
	l.Remember("long 2", places(1), end)
	l.Remember("long 3", many, end)
	if !known("long 1", end) || !known("long 2", end) || !known("long 3", end) {
		t.Error("a list that is replaced has given its room back")
	}
	l.Remember("far too long", append(many, append(many, many...)...), end)
	if known("far too long", end) || !known("long 3", end) {
		t.Error("a list that is longer than all may be is kept, or others went for it")
	}
}
