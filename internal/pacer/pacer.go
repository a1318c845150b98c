// Package pacer sets how often the garbage collector runs by how much lives.
package pacer

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	// Percent is how much of what lives may be allocated until the garbage collector runs again, where that is more than Room.
	// It trades a little CPU for memory: most of the heap is caches that live long. https://go.dev/doc/gc-guide#GOGC
	Percent = 50
	// Room is how many bytes may be allocated in any case. With Percent alone a small heap is collected a hundred times a second
	// under load, and each time what sync.Pools hold goes with it.
	Room = 32 << 20
	// maximumPercent bounds what a heap of almost nothing is given.
	maximumPercent = 1000
	// tolerance is by how much the percentage has to differ before it is set, for setting it stops the world.
	tolerance = 10
)

// For is the percentage to set while so many bytes live.
func For(live uint64) int {
	if live == 0 {
		return maximumPercent
	}
	return int(min(max(Room*100/live, Percent), maximumPercent))
}

// Start sets the percentage now and after each collection, until stop is called, which leaves it as it is.
func Start() (stop func()) {
	p := &pacer{percent: For(0)}
	debug.SetGCPercent(p.percent)
	p.arm()
	return func() { p.stopped.Store(true) }
}

// pacer is called once after each collection, by the cleanup of an object that nothing refers to.
type pacer struct {
	percent int
	stopped atomic.Bool
}

func (p *pacer) arm() { runtime.AddCleanup(new(sentinel), (*pacer).collected, p) }

// sentinel has a size and a pointer, so that it is not a part of another object (runtime.AddCleanup).
type sentinel struct{ _ *sentinel }

func (p *pacer) collected() {
	if p.stopped.Load() {
		return
	}
	if wanted := For(liveBytes()); wanted < p.percent-tolerance || wanted > p.percent+tolerance || wanted == Percent && p.percent != Percent {
		p.percent = wanted
		debug.SetGCPercent(wanted)
	}
	p.arm()
}

// liveBytes is what lived at the last collection.
func liveBytes() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
