package schedule

import (
	"fmt"
	"strconv"
	"strings"
)

// set holds the numbers 0 to 63.
type set uint64

func (s set) has(n int) bool { return s>>uint(n)&1 == 1 }
func (s set) count() (n int) {
	for ; s != 0; s &= s - 1 {
		n++
	}
	return n
}

// field describes one field of numbers.
type field struct {
	name      string
	low, high int
	names     []string
}

// parseField reads a list of *, N, N-M, */S, N/S and N-M/S.
func parseField(f field, text string) (set, error) {
	var out set
	for _, part := range strings.Split(text, ",") {
		span, step, err := f.step(part)
		if err != nil {
			return 0, err
		}
		low, high, err := f.span(span, step != 0)
		if err != nil {
			return 0, err
		}
		for n := low; n <= high; n += max(step, 1) {
			out |= 1 << uint(n)
		}
	}
	return out, nil
}

// step takes the step off, 0 for none.
func (f field) step(part string) (span string, step int, err error) {
	span, text, ok := strings.Cut(part, "/")
	if !ok {
		return part, 0, nil
	}
	step, err = digits(text)
	if err != nil || step < 1 || step > f.high || len(text) > 2 {
		return "", 0, fmt.Errorf("%s is %q: the step after / is a number from 1 to %d", f.name, part, f.high)
	}
	if span == "" { // AWS's own examples write /8
		span = "*"
	}
	return span, step, nil
}

func (f field) span(text string, stepped bool) (low, high int, err error) {
	if text == "*" {
		return f.low, f.high, nil
	}
	from, to, isRange := strings.Cut(text, "-")
	if low, err = f.number(from); err != nil {
		return 0, 0, err
	}
	switch {
	case isRange:
		if high, err = f.number(to); err != nil {
			return 0, 0, err
		}
		if high < low {
			return 0, 0, fmt.Errorf("%s is %q: the range ends before it begins", f.name, text)
		}
	case stepped:
		high = f.high
	default:
		high = low
	}
	return low, high, nil
}

func (f field) number(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.low + i, nil
		}
	}
	n, err := digits(text)
	if err != nil || n < f.low || n > f.high || len(text) > 2 {
		names := ""
		if len(f.names) > 0 {
			names = fmt.Sprintf(", or %s to %s", f.names[0], f.names[len(f.names)-1])
		}
		return 0, fmt.Errorf("%s is %q: give %d to %d%s", f.name, text, f.low, f.high, names)
	}
	return n, nil
}

// digits reads digits only; strconv.Atoi would take a sign, too.
func digits(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}
