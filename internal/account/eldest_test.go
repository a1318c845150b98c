package account_test

import (
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/account"
)

// Of three, the message must name the one that has the account, not just one that is older.
func TestTheNamespaceThatHasTheAccountIsNamed(t *testing.T) {
	c := reader(namespace("a", "123456789012", time.Hour), namespace("b", "123456789012", 2*time.Hour), namespace("c", "123456789012", 0))
	if _, err := account.Resolve(t.Context(), c, "c"); err == nil || !strings.Contains(err.Error(), "belongs to namespace b,") {
		t.Errorf("%v", err)
	}
}
