package fairqueue

import "container/heap"

// little is the size below which nothing is given back.
const little = 256

// ordered is a heap whose elements know their places in it. Its memory goes with them.
type ordered[T any] struct {
	items []T
	less  func(a, b T) bool
	// place is where an element keeps its position.
	place func(T) *int
}

func (o *ordered[T]) push(t T)   { heap.Push(o, t) }
func (o *ordered[T]) pop() T     { return heap.Pop(o).(T) }
func (o *ordered[T]) fix(t T)    { heap.Fix(o, *o.place(t)) }
func (o *ordered[T]) remove(t T) { heap.Remove(o, *o.place(t)) }

// Len, Less, Swap, Push and Pop are container/heap's.
func (o *ordered[T]) Len() int           { return len(o.items) }
func (o *ordered[T]) Less(i, j int) bool { return o.less(o.items[i], o.items[j]) }

// Swap is container/heap's.
func (o *ordered[T]) Swap(i, j int) {
	o.items[i], o.items[j] = o.items[j], o.items[i]
	*o.place(o.items[i]), *o.place(o.items[j]) = i, j
}

// Push is container/heap's.
func (o *ordered[T]) Push(x any) {
	t := x.(T)
	*o.place(t) = len(o.items)
	o.items = append(o.items, t)
}

// Pop is container/heap's.
func (o *ordered[T]) Pop() any {
	last := len(o.items) - 1
	t := o.items[last]
	clear(o.items[last:]) // or the array would hold it
	o.items = o.items[:last]
	if cap(o.items) > little && last < cap(o.items)/4 {
		o.items = append(make([]T, 0, cap(o.items)/2), o.items...)
	}
	return t
}

// shrinking is a map whose memory goes with what is in it: Go's own keeps what it once had.
type shrinking[K comparable, V any] struct {
	items map[K]V
	// most is the most that this map has had.
	most int
}

func (s *shrinking[K, V]) get(key K) (value V, ok bool) {
	value, ok = s.items[key]
	return value, ok
}

func (s *shrinking[K, V]) set(key K, value V) {
	if s.items == nil {
		s.items = map[K]V{}
	}
	s.items[key] = value
	s.most = max(s.most, len(s.items))
}

func (s *shrinking[K, V]) delete(key K) {
	delete(s.items, key)
	if s.most <= little || len(s.items) >= s.most/4 {
		return
	}
	items := make(map[K]V, len(s.items)) // once for each three quarters that went, so that it costs each of them little
	for k, v := range s.items {
		items[k] = v
	}
	s.items, s.most = items, len(items)
}
