package secret

import (
	"strings"
	"testing"
)

// The API refuses an event whose note is over 1,024 bytes; names have up to 253.
func TestAnEventOfLongNamesFits(t *testing.T) {
	var many []string
	for range 10 {
		many = append(many, "Deployment/"+strings.Repeat("x", 253))
	}
	if e := eventRestarted(many); len(e.note) > 1024 {
		t.Errorf("%d bytes", len(e.note))
	}
}
