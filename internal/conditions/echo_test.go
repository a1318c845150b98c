package conditions_test

import (
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/conditions"
)

func TestAnAnnotationIsEchoedAsItIsOrByItsDigest(t *testing.T) {
	long, longer := strings.Repeat("x", 1024), strings.Repeat("x", 1025)
	for _, same := range []string{"", "now", "2026-11-25T03:00:00Z", long} {
		if got := conditions.Echo(same); got != same {
			t.Errorf("%.20q is echoed as %.20q", same, got)
		}
	}
	first, second := conditions.Echo(longer), conditions.Echo(longer+"y")
	if len(first) > 1024 || first == second || first != conditions.Echo(longer) {
		t.Errorf("%q and %q", first, second)
	}
	if umlauts := strings.Repeat("ä", 1024); len(conditions.Echo(umlauts)) > 1024 {
		t.Error("1,024 characters of two bytes are echoed as they are: the limit is in bytes, to be sure")
	}
}
