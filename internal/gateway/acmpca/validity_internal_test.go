package acmpca

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
)

func TestTheTwoDigitsOfAYearAreReadAsInCertificates(t *testing.T) {
	for value, year := range map[int64]int{491231235959: 2049, 500101000000: 1950, 990101000000: 1999, 260101000000: 2026, 101000000: 2000, 20500101000000: 2050} {
		at, err := endOf(&types.Validity{Type: types.ValidityPeriodTypeEndDate, Value: &value}, time.Now())
		if err != nil || at.Year() != year {
			t.Errorf("%d is %s, %v; want the year %d", value, at, err, year)
		}
	}
}

func FuzzAValidityIsATimeThatACertificateCanHaveOrIsRefused(f *testing.F) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, n := range []int64{1, 90, 1 << 62, 20261231235959, 261231235959, -1} {
		for kind := range types.ValidityPeriodType("").Values() {
			f.Add(n, uint8(kind))
		}
	}
	kinds := types.ValidityPeriodType("").Values()
	f.Fuzz(func(t *testing.T, n int64, kind uint8) {
		v := &types.Validity{Type: kinds[int(kind)%len(kinds)], Value: &n}
		at, err := endOf(v, now)
		if err == nil && at.Year() > 9999 {
			t.Errorf("%d %s is %s", n, v.Type, at)
		}
	})
}
