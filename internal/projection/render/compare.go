package render

import (
	"cmp"
	"strconv"
)

// eq tells whether the first argument equals one of the others, as text/template's does.
func (b *budget) eq(first any, others ...any) (bool, error) {
	if len(others) == 0 {
		return false, &functionError{"eq", "there is nothing to compare with"}
	}
	for _, other := range others {
		order, err := b.compare("eq", first, other)
		if err != nil {
			return false, err
		}
		if order == 0 {
			return true, nil
		}
	}
	return false, nil
}

func (b *budget) ne(first, second any) (bool, error) {
	order, err := b.compare("ne", first, second)
	return order != 0, err
}

// ordered makes one of the functions that want two values in an order.
func (b *budget) ordered(name string, want func(order int) bool) func(any, any) (bool, error) {
	return func(first, second any) (bool, error) {
		if _, ok := first.(bool); ok {
			return false, &functionError{name, "true and false have no order"}
		}
		order, err := b.compare(name, first, second)
		return err == nil && want(order), err
	}
}

// compare pays for a comparison and does it: numbers by their value, be they a template's or the data's, text with text, and
// true and false only for equality. nil equals nil alone.
func (b *budget) compare(name string, first, second any) (int, error) {
	if err := b.spend(costOfCall + b.size(first, second)); err != nil {
		return 0, err
	}
	if x, ok := numeric(first); ok {
		if y, ok := numeric(second); ok {
			return cmp.Compare(x, y), nil
		}
	}
	switch x := first.(type) {
	case string:
		if y, ok := second.(string); ok {
			return cmp.Compare(x, y), nil
		}
	case bool:
		if y, ok := second.(bool); ok {
			return truth(x != y), nil
		}
	case nil:
		return truth(second != nil), nil
	}
	if second == nil {
		return 1, nil
	}
	return 0, &functionError{name, "the two are not of one kind: both text, both numbers, or both true or false"}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func numeric(v any) (float64, bool) {
	switch n := v.(type) {
	case number:
		f, err := strconv.ParseFloat(string(n), 64)
		return f, err == nil
	case int:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
