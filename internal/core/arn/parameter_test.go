package arn_test

import (
	"testing"

	"strongroom.dev/strongroom/internal/core/arn"
)

func TestAnARNIsAParametersIfItIsTheOneThatIsMadeOfTheName(t *testing.T) {
	const account, region = "123456789012", "eu-west-1"
	names := []string{"x", "/x", "/x/y", "x/y", "xy", ""}
	for _, of := range names {
		made := arn.Parameter(region, account, of)
		for _, name := range names {
			if got, want := arn.IsParameter(made, region, account, name), made == arn.Parameter(region, account, name); got != want {
				t.Errorf("%s of %q: %t", made, name, got)
			}
		}
		for _, other := range []string{made + "x", made[1:], "", "arn:aws:ssm:" + region + ":" + account + ":" + of, made[:len(made)-len(of)] + "/" + of} {
			if got, want := arn.IsParameter(other, region, account, of), other == arn.Parameter(region, account, of); got != want {
				t.Errorf("%s of %q: %t", other, of, got)
			}
		}
		if arn.IsParameter(made, "eu-west-2", account, of) || arn.IsParameter(made, region, "123456789013", of) || arn.IsParameter(made, "", account, of) {
			t.Errorf("%s is of another region or account", made)
		}
	}
}

func TestThePartsOfWhatIsNoARNAreNothing(t *testing.T) {
	for _, text := range []string{"", "arn", "arn:aws:ssm:r:a", "rna:aws:ssm:r:a:x", ":::::", "arn:::::", "arn:aws:ssm:r:a:x:y"} {
		var want [4]string
		if text == "arn:aws:ssm:r:a:x:y" {
			want = [...]string{"ssm", "r", "a", "x:y"}
		}
		if got := [...]string{arn.Service(text), arn.Region(text), arn.Account(text), arn.Resource(text)}; got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
