package arn_test

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/arn"
)

func TestTheARNsOfIAMAreThoseOfAWSsExamples(t *testing.T) {
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
	for want, got := range map[string]string{
		"arn:aws:iam::123456789012:user/JohnDoe":                                                  arn.IAMUser("123456789012", "/", "JohnDoe"),
		"arn:aws:iam::123456789012:user/division_abc/subdivision_xyz/JaneDoe":                     arn.IAMUser("123456789012", "/division_abc/subdivision_xyz/", "JaneDoe"),
		"arn:aws:iam::123456789012:role/S3Access":                                                 arn.IAMRole("123456789012", "/", "S3Access"),
		"arn:aws:iam::123456789012:role/application_abc/component_xyz/RDSAccess":                  arn.IAMRole("123456789012", "/application_abc/component_xyz/", "RDSAccess"),
		"arn:aws:iam::123456789012:group/Developers":                                              arn.IAMGroup("123456789012", "/", "Developers"),
		"arn:aws:iam::123456789012:group/division_abc/subdivision_xyz/product_A/Developers":       arn.IAMGroup("123456789012", "/division_abc/subdivision_xyz/product_A/", "Developers"),
		"arn:aws:iam::123456789012:policy/UsersManageOwnCredentials":                              arn.IAMPolicy("123456789012", "/", "UsersManageOwnCredentials"),
		"arn:aws:iam::123456789012:policy/division_abc/subdivision_xyz/UsersManageOwnCredentials": arn.IAMPolicy("123456789012", "/division_abc/subdivision_xyz/", "UsersManageOwnCredentials"),
	} {
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
		if arn.Account(got) != "123456789012" || arn.Region(got) != "" {
			t.Errorf("%s tells account %q and region %q", got, arn.Account(got), arn.Region(got))
		}
	}
}

func TestAUniqueIDIsOfAWSsShapeAndOfOneObject(t *testing.T) {
	shape := regexp.MustCompile(`^(AIDA|AROA|AGPA|ANPA)[A-Z2-7]{17}$`)
	prefixes := rapid.SampledFrom([]arn.IDPrefix{arn.UserID, arn.RoleID, arn.GroupID, arn.PolicyID})
	rapid.Check(t, func(t *rapid.T) {
		prefix, uid, other := prefixes.Draw(t, "prefix"), uids.Draw(t, "uid"), uids.Draw(t, "other")
		id := arn.UniqueID(prefix, uid)
		if !shape.MatchString(id) || id != arn.UniqueID(prefix, uid) {
			t.Fatalf("%s", id)
		}
		if uid != other && id == arn.UniqueID(prefix, other) {
			t.Fatalf("%s is of two objects", id)
		}
	})
}

func TestAUniqueIDStaysAsItIs(t *testing.T) {
	// Envelopes are bound to it: another derivation would lock users out.
	const uid, golden = "0b0b6d4e-0a3c-4a53-9d0c-6f4b7a4f5a11", "AIDAPO7CWWI5XMGWCRUTF"
	if got := arn.UniqueID(arn.UserID, uid); got != golden {
		t.Errorf("%s, not %s", got, golden)
	}
	if arn.UniqueID(arn.UserID, uid)[4:] == arn.UniqueID(arn.RoleID, uid)[4:] {
		t.Error("the prefix has no part in it")
	}
}
