package parametertree

import (
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/projection"
)

func TestNoNamespaceWaitsWhileTheParametersOfAnotherAreRead(t *testing.T) {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	p := NewPace(projection.NewBudget(clock), clock)
	reads, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = p.lately("large", func() (*living, error) {
			<-reads
			return &living{}, nil
		})
	}()
	asked := make(chan bool)
	go func() {
		_, fresh, _ := p.lately("small", func() (*living, error) { return &living{}, nil })
		_, again, _ := p.lately("small", func() (*living, error) { return &living{}, nil })
		asked <- fresh && !again
	}()
	select {
	case right := <-asked:
		if !right {
			t.Error("the first look is not fresh, or the second is")
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the other namespace's")
	}
	close(reads)
	<-done
}
