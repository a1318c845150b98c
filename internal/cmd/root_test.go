package cmd

import (
	"strings"
	"testing"
	"time"
)

func TestTheRootOfTrustIsACoreSecretOrAnHSMClusterAndItsGracePeriodIsNotShorterThanARestart(t *testing.T) {
	for _, tt := range []struct {
		root  string
		grace time.Duration
		says  string
	}{
		{"core-secret", 0, ""},
		{"hsm:strongroom-system/root", 0, ""},
		{"hsm:strongroom-system/root", time.Minute, ""},
		{"hsm:strongroom-system/root", time.Minute - 1, "--root-grace-period is 59.999999999s: give at least 1m"},
		{"hsm:strongroom-system/root", -time.Minute, "--root-grace-period is -1m0s"},
		{"", 0, `--root is ""`},
		{"hsm:root", 0, `--root is "hsm:root": give core-secret, or hsm:NAMESPACE/NAME of an HSMCluster`},
		{"CoreSecret", 0, "--root"},
	} {
		f := managerFlags{}
		f.Root, f.RootGracePeriod = tt.root, tt.grace
		err := f.checkRoot()
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q, %s: %v", tt.root, tt.grace, err)
		}
	}
}
