package plugin

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// counts says how far a long work has come: a line a few seconds, and all of it at the end.
type counts struct {
	notes io.Writer // nil for none
	done  string
	kinds map[string]int
	next  time.Time
}

// noteEvery is how long it is from one line to the next.
const noteEvery = 3 * time.Second

func newCounts(notes io.Writer, done string) *counts {
	return &counts{notes: notes, done: done, kinds: map[string]int{}, next: time.Now().Add(noteEvery)}
}

func (c *counts) add(kind string) {
	c.kinds[kind]++
	if now := time.Now(); c.notes != nil && now.After(c.next) {
		c.next = now.Add(noteEvery)
		_, _ = fmt.Fprintf(c.notes, "%s ...\n", c)
	}
}

// String counts all, and each kind: 12 objects written (2 KMSKey, 10 Secret).
func (c *counts) String() string {
	total, parts := 0, make([]string, 0, len(c.kinds))
	for _, kind := range slices.Sorted(maps.Keys(c.kinds)) {
		total += c.kinds[kind]
		parts = append(parts, fmt.Sprint(c.kinds[kind], " ", kind))
	}
	if total == 0 {
		return "0 objects " + c.done
	}
	return fmt.Sprintf("%d objects %s (%s)", total, c.done, strings.Join(parts, ", "))
}
