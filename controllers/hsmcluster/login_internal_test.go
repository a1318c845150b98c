package hsmcluster

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

func TestNodesOfOneTokenTryAPINOneAfterTheOtherAndAWrongOneOnce(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	told := func(node string, ago time.Duration) *cloudhsm.PINAttempt {
		return &cloudhsm.PINAttempt{Node: node, Time: metav1.NewTime(now.Add(-ago))}
	}
	done, refused := told("a", time.Hour), told("a", time.Hour)
	done.Done, refused.Refused = true, true
	for name, tt := range map[string]struct {
		last               *cloudhsm.PINAttempt
		same               bool
		waiting, answering []string
		want               string
		err                error
	}{
		"nobody has tried":                                        {nil, false, []string{"a", "b"}, []string{"a", "b"}, "a", nil},
		"the PIN was right":                                       {done, true, []string{"b"}, []string{"a", "b"}, "b", nil},
		"the PIN was refused":                                     {refused, true, []string{"a", "b"}, []string{"a", "b"}, "", errRefused},
		"the PIN was refused at a node that is gone":              {refused, true, []string{"b"}, []string{"b"}, "", errRefused},
		"another PIN was refused":                                 {refused, false, []string{"a", "b"}, []string{"a", "b"}, "a", nil},
		"a node was told, and waits: it knows what came of it":    {told("b", time.Second), true, []string{"a", "b"}, []string{"a", "b"}, "b", nil},
		"a node was told long ago, and waits":                     {told("b", time.Hour), true, []string{"a", "b"}, []string{"a", "b"}, "b", nil},
		"a node was told, and is logged in":                       {told("b", time.Second), true, []string{"a"}, []string{"a", "b"}, "a", nil},
		"a node was told, and does not answer":                    {told("b", time.Second), true, []string{"a"}, []string{"a"}, "", errUnseen},
		"a node was told nearly too long ago":                     {told("b", unseen-1), true, []string{"a"}, []string{"a"}, "", errUnseen},
		"a node was told too long ago, and does not answer":       {told("b", unseen), true, []string{"a"}, []string{"a"}, "a", nil},
		"a node was told another PIN, and does not answer":        {told("b", time.Second), false, []string{"a"}, []string{"a"}, "a", nil},
		"a node was told by a clock that is ahead, and is away":   {told("b", -time.Hour), true, []string{"a"}, []string{"a"}, "a", nil},
		"a node was told at this moment, and does not answer yet": {told("b", 0), true, []string{"a"}, []string{"a"}, "", errUnseen},
	} {
		got, err := decideLogin(tt.last, tt.same, tt.waiting, tt.answering, now)
		if got != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, err, tt.want, tt.err)
		}
	}
}
