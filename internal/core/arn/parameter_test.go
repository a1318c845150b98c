package arn_test

import (
	"testing"

	"strongroom.dev/strongroom/internal/core/arn"
)

func TestTheARNOfAParameterTellsWhatItIsOf(t *testing.T) {
	for _, name := range []string{"x", "x/y", "", "a:b", "/x"} {
		made := arn.Parameter("eu-west-1", "123456789012", "/"+name)
		region, account, of, ok := arn.OfParameter(made)
		if !ok || region != "eu-west-1" || account != "123456789012" || of != name {
			t.Errorf("%s is of %q, %q and %q, %t", made, region, account, of, ok)
		}
	}
	for _, other := range []string{
		"", "arn", "arn:aws:ssm:r:1", "arn:aws:ssm:r:1:x", "arn:aws:ssm:r:1:servicesetting/ssm/x", "arn:aws-cn:ssm:r:1:parameter/x", "arn:aws:kms:r:1:parameter/x",
		"xarn:aws:ssm:r:1:parameter/x", "arn:aws:ssm:r:1:parameter", " arn:aws:ssm:r:1:parameter/x",
	} {
		if region, account, name, ok := arn.OfParameter(other); ok {
			t.Errorf("%q is of %q, %q and %q", other, region, account, name)
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
