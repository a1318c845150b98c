package generate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// everyNumber is each of the 65,536 numbers that two bytes can be, once.
func everyNumber() io.Reader {
	var b []byte
	for n := range 1 << 16 {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return bytes.NewReader(b)
}

// No statistics: if each number that can be read comes once, each answer must come equally often.
func TestEachAnswerComesEquallyOftenWhateverTheirNumber(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 7, 10, 26, 32, 62, 94, 95, 255, 256, 257, 1000, 4096, 32769, 65535, 65536} {
		u := &uniform{r: everyNumber()}
		counts := make([]int, n)
		total := 0
		for {
			v := u.below(n)
			if u.err != nil {
				break
			}
			if v < 0 || v >= n {
				t.Fatalf("%d is not below %d", v, n)
			}
			counts[v]++
			total++
		}
		if !errors.Is(u.err, io.EOF) {
			t.Fatalf("below %d: %v", n, u.err)
		}
		for v, count := range counts {
			if count != (1<<16)/n {
				t.Fatalf("below %d: %d comes %d times of %d, want %d", n, v, count, total, (1<<16)/n)
			}
		}
	}
}

func TestAfterAFailedReadTheSourceIsAskedNoMore(t *testing.T) {
	u := &uniform{r: bytes.NewReader(make([]byte, 256))}
	for range 128 {
		u.below(2)
	}
	if u.err != nil {
		t.Fatal(u.err)
	}
	for range 3 {
		if v := u.below(10); v != 0 || !errors.Is(u.err, io.EOF) {
			t.Errorf("%d, %v", v, u.err)
		}
	}
}
