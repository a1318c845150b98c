package ssm

import (
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// Whatever a request names as a setting, it is one of the two of the caller's own account and region, or none; and policies are asked about an ARN
// of the account that it says it is of.
func FuzzASettingIsTheCallersOwnOrNone(f *testing.F) {
	const account, region = "111122223333", "us-east-1"
	const own = "arn:aws:ssm:" + region + ":" + account + ":servicesetting/ssm/parameter-store/default-parameter-tier"
	for _, seed := range []string{"", "/ssm/parameter-store/high-throughput-enabled", own, strings.Replace(own, account, "444455556666", 1), strings.Replace(own, region, "", 1), "arn:", "arn:::::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		call := &gateway.Call{Region: region, Identity: &serviceiam.Identity{Principal: iam.Principal{Account: account}}}
		r, err := resolveSetting(call, &given)
		if err != nil {
			return
		}
		if !strings.HasPrefix(r.ARN, "arn:aws:ssm:") {
			t.Fatalf("%q is asked about as %q", given, r.ARN)
		}
		if r.Missing != nil {
			return
		}
		if r.Account != "" || r.ARN != own && r.ARN != strings.Replace(own, "default-parameter-tier", "high-throughput-enabled", 1) {
			t.Fatalf("%q is %q of account %q", given, r.ARN, r.Account)
		}
	})
}
