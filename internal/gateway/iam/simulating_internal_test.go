package iam

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func TestSimulationsAreOneOfAPrincipalAndTwoOfAnAccountAtATime(t *testing.T) {
	s := simulating{of: map[string]int{}}
	const account, other = "111122223333", "444455556666"
	begin := func(account, who string, want bool) {
		t.Helper()
		if s.begin(account, who) != want {
			t.Fatalf("%s of %s is not %t", who, account, want)
		}
	}
	begin(account, "ada", true)
	begin(account, "ada", false)
	begin(account, "bob", true)
	begin(account, "carl", false) // a third user of the account, who simulates nothing else
	begin(other, "dora", true)    // whom that account does not concern
	s.end(account, "ada")
	begin(account, "bob", false)
	begin(account, "carl", true)
	for who, of := range map[string]string{"bob": account, "carl": account, "dora": other} {
		s.end(of, who)
	}
	if len(s.of) != 0 {
		t.Errorf("%v is kept of those who have ended", s.of)
	}
}

func TestNoMoreSimulationsRunThanMayHoweverManyUsersAnAccountMakes(t *testing.T) {
	s := simulating{of: map[string]int{}}
	var now, most, done atomic.Int64
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for range 200 {
				if who := fmt.Sprint("user ", i); s.begin("111122223333", who) {
					for n := now.Add(1); n > most.Load(); {
						most.Store(n)
					}
					done.Add(1)
					now.Add(-1)
					s.end("111122223333", who)
				}
			}
		})
	}
	all.Wait()
	if most.Load() > accountSimulations || done.Load() == 0 || len(s.of) != 0 {
		t.Errorf("%d at once, %d in all, %v kept", most.Load(), done.Load(), s.of)
	}
}
