package grants_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/grants"
	"strongroom.dev/strongroom/internal/core/keys"
)

type (
	ec  = map[string]string
	ops = []grants.Operation
)

func TestAGrantAllowsItsOperationsWithinItsConstraints(t *testing.T) {
	both := ops{"Decrypt", "DescribeKey", "RetireGrant", "CreateGrant"}
	for name, tt := range map[string]struct {
		grant     grants.Grant
		operation grants.Operation
		context   ec
		want      bool
	}{
		"an operation of the grant":                        {grants.Grant{Operations: both}, "Decrypt", nil, true},
		"with any context if there is no constraint":       {grants.Grant{Operations: both}, "Decrypt", ec{"a": "b"}, true},
		"an operation that it lacks":                       {grants.Grant{Operations: both}, "Encrypt", nil, false},
		"an operation that no grant can have":              {grants.Grant{Operations: both}, "PutKeyPolicy", nil, false},
		"the context that Equals says":                     {grants.Grant{Operations: both, Equals: ec{"a": "b"}}, "Decrypt", ec{"a": "b"}, true},
		"one more pair than Equals says":                   {grants.Grant{Operations: both, Equals: ec{"a": "b"}}, "Decrypt", ec{"a": "b", "c": "d"}, false},
		"no context where Equals says one":                 {grants.Grant{Operations: both, Equals: ec{"a": "b"}}, "Decrypt", nil, false},
		"another value than Equals says":                   {grants.Grant{Operations: both, Equals: ec{"a": "b"}}, "Decrypt", ec{"a": "B"}, false},
		"a key in another case than Equals says":           {grants.Grant{Operations: both, Equals: ec{"App": "b"}}, "Decrypt", ec{"aPP": "b"}, true},
		"one more pair than Subset says":                   {grants.Grant{Operations: both, Subset: ec{"a": "b"}}, "Decrypt", ec{"a": "b", "c": "d"}, true},
		"a pair of Subset is not there":                    {grants.Grant{Operations: both, Subset: ec{"a": "b", "c": "d"}}, "Decrypt", ec{"a": "b"}, false},
		"another value than Subset says":                   {grants.Grant{Operations: both, Subset: ec{"a": "b"}}, "Decrypt", ec{"a": "c"}, false},
		"an empty value is not one that is not there":      {grants.Grant{Operations: both, Subset: ec{"a": ""}}, "Decrypt", ec{"b": ""}, false},
		"a key in another case than Subset says":           {grants.Grant{Operations: both, Subset: ec{"APP": "b"}}, "Decrypt", ec{"app": "b"}, true},
		"both constraints, and both met":                   {grants.Grant{Operations: both, Equals: ec{"a": "b"}, Subset: ec{"a": "b"}}, "Decrypt", ec{"a": "b"}, true},
		"both constraints, and one met":                    {grants.Grant{Operations: both, Equals: ec{"a": "b"}, Subset: ec{"c": "d"}}, "Decrypt", ec{"a": "b"}, false},
		"Equals does not say what it wants":                {grants.Grant{Operations: both, Equals: ec{"a": "b", "A": "c"}}, "Decrypt", ec{"a": "b"}, false},
		"nor does Subset":                                  {grants.Grant{Operations: both, Subset: ec{"a": "b", "A": "b"}}, "Decrypt", ec{"a": "b"}, false},
		"DescribeKey has no context, and needs none":       {grants.Grant{Operations: both, Equals: ec{"a": "b"}}, "DescribeKey", nil, true},
		"nor does RetireGrant":                             {grants.Grant{Operations: both, Subset: ec{"a": "b"}}, "RetireGrant", nil, true},
		"nor CreateGrant, whose child is looked at itself": {grants.Grant{Operations: both, Subset: ec{"a": "b"}}, "CreateGrant", nil, true},
	} {
		if got := tt.grant.Allows(tt.operation, tt.context); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAGrantCoversOthersThatAreNoWider(t *testing.T) {
	parent := func(equals, subset ec) grants.Grant {
		return grants.Grant{Operations: ops{"Decrypt", "Encrypt", "CreateGrant"}, Equals: equals, Subset: subset}
	}
	child := func(equals, subset ec, operations ...grants.Operation) grants.Grant {
		return grants.Grant{Operations: operations, Equals: equals, Subset: subset}
	}
	for name, tt := range map[string]struct {
		parent, child grants.Grant
		want          bool
	}{
		"the same operations":                             {parent(nil, nil), child(nil, nil, "Decrypt", "Encrypt", "CreateGrant"), true},
		"fewer operations":                                {parent(nil, nil), child(nil, nil, "Decrypt"), true},
		"an operation more":                               {parent(nil, nil), child(nil, nil, "Decrypt", "DescribeKey"), false},
		"a parent that allows no grants":                  {grants.Grant{Operations: ops{"Decrypt"}}, child(nil, nil, "Decrypt"), false},
		"a constraint where the parent has none":          {parent(nil, nil), child(ec{"a": "b"}, nil, "Decrypt"), true},
		"the same Equals":                                 {parent(ec{"a": "b"}, nil), child(ec{"A": "b"}, nil, "Decrypt"), true},
		"no constraint where the parent has Equals":       {parent(ec{"a": "b"}, nil), child(nil, nil, "Decrypt"), false},
		"Subset where the parent has Equals":              {parent(ec{"a": "b"}, nil), child(nil, ec{"a": "b"}, "Decrypt"), false},
		"more in Equals than the parent's":                {parent(ec{"a": "b"}, nil), child(ec{"a": "b", "c": "d"}, nil, "Decrypt"), false},
		"the same Subset":                                 {parent(nil, ec{"a": "b"}), child(nil, ec{"a": "b"}, "Decrypt"), true},
		"more pairs in Subset":                            {parent(nil, ec{"a": "b"}), child(nil, ec{"a": "b", "c": "d"}, "Decrypt"), true},
		"another value in Subset":                         {parent(nil, ec{"a": "b"}), child(nil, ec{"a": "c"}, "Decrypt"), false},
		"fewer pairs in Subset":                           {parent(nil, ec{"a": "b", "c": "d"}), child(nil, ec{"a": "b"}, "Decrypt"), false},
		"Equals with the pairs of the parent's Subset":    {parent(nil, ec{"a": "b"}), child(ec{"a": "b", "c": "d"}, nil, "Decrypt"), true},
		"Equals without a pair of the parent's Subset":    {parent(nil, ec{"a": "b"}), child(ec{"c": "d"}, nil, "Decrypt"), false},
		"no constraint where the parent has Subset":       {parent(nil, ec{"a": "b"}), child(nil, nil, "Decrypt"), false},
		"a parent that does not say what it wants":        {parent(nil, ec{"a": "b", "A": "b"}), child(nil, ec{"a": "b"}, "Decrypt"), false},
		"a child that does not say what it wants":         {parent(nil, ec{"a": "b"}), child(nil, ec{"a": "b", "A": "c"}, "Decrypt"), false},
		"both of the parent's, and one of them by itself": {parent(ec{"a": "b"}, ec{"a": "b"}), child(ec{"a": "b"}, nil, "Decrypt"), true},
	} {
		if got := tt.parent.Covers(&tt.child); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

var drawnContext = rapid.Custom(func(t *rapid.T) ec {
	if rapid.Bool().Draw(t, "none") {
		return nil
	}
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "A", "b", "c"}), rapid.SampledFrom([]string{"", "x", "X"}), 1, 3).Draw(t, "pairs")
})

var drawnGrant = rapid.Custom(func(t *rapid.T) grants.Grant {
	return grants.Grant{
		Operations: rapid.SliceOfN(rapid.SampledFrom(ops{"Encrypt", "Decrypt", "DescribeKey", "RetireGrant", "CreateGrant"}), 1, 4).Draw(t, "operations"),
		Equals:     drawnContext.Draw(t, "equals"), Subset: drawnContext.Draw(t, "subset"),
	}
})

// The law of children: whoever is allowed something by a grant that another covers is allowed it by that one.
func TestACoveredGrantAllowsNothingThatItsParentDoesNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parent, child := drawnGrant.Draw(t, "parent"), drawnGrant.Draw(t, "child")
		given := drawnContext.Draw(t, "given")
		if len(lowered(given)) != len(given) || len(lowered(child.Equals)) != len(child.Equals) || len(lowered(child.Subset)) != len(child.Subset) ||
			len(lowered(parent.Equals)) != len(parent.Equals) || len(lowered(parent.Subset)) != len(parent.Subset) {
			t.Skip("such contexts are refused before")
		}
		if !parent.Covers(&child) {
			return
		}
		for _, operation := range (ops{"Encrypt", "Decrypt", "DescribeKey", "RetireGrant", "CreateGrant"}) {
			if child.Allows(operation, given) && !parent.Allows(operation, given) {
				t.Fatalf("%s with %v is the child's and not the parent's", operation, given)
			}
		}
		grandchild := drawnGrant.Draw(t, "grandchild")
		if child.Covers(&grandchild) && !parent.Covers(&grandchild) {
			t.Fatal("a grandchild is wider than the parent")
		}
	})
}

func lowered(context ec) ec {
	out := ec{}
	for name, value := range maps.All(context) {
		out[strings.ToLower(name)] = value
	}
	return out
}

func TestAKeysGrantsHaveTheOperationsThatItSupports(t *testing.T) {
	always := "CreateGrant RetireGrant DescribeKey"
	for _, tt := range []struct {
		spec  keys.Spec
		usage keys.Usage
		want  string
	}{
		{
			keys.SymmetricDefault, keys.EncryptDecrypt,
			"Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext",
		},
		{"RSA_2048", keys.EncryptDecrypt, "Encrypt Decrypt ReEncryptFrom ReEncryptTo GetPublicKey"},
		{"RSA_4096", keys.SignVerify, "Sign Verify GetPublicKey"},
		{"ECC_NIST_P256", keys.SignVerify, "Sign Verify GetPublicKey"},
		{"ECC_NIST_P384", keys.KeyAgreement, "DeriveSharedSecret GetPublicKey"},
		{"ML_KEM_768", keys.EncapsulateDecapsulate, "Encapsulate Decapsulate GetPublicKey"},
		{"HMAC_256", keys.GenerateVerifyMac, "GenerateMac VerifyMac"},
	} {
		want := map[string]bool{}
		for _, operation := range strings.Fields(always + " " + tt.want) {
			want[operation] = true
		}
		for _, operation := range strings.Fields("Encrypt Decrypt ReEncryptFrom ReEncryptTo ReEncrypt GenerateDataKey GenerateDataKeyWithoutPlaintext " +
			"GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext Sign Verify GetPublicKey GenerateMac VerifyMac DeriveSharedSecret CreateGrant " +
			"RetireGrant DescribeKey RevokeGrant ListGrants PutKeyPolicy GenerateRandom Encapsulate Decapsulate *") {
			if got := grants.Supports(tt.spec, tt.usage, grants.Operation(operation)); got != want[operation] {
				t.Errorf("%s of %s %s: %t", operation, tt.spec, tt.usage, got)
			}
		}
	}
}

func TestAGrantThatCannotBeOfTheKeyIsRefused(t *testing.T) {
	many := ec{}
	for _, name := range strings.Fields("a b c d e f g h i") {
		many[name] = ""
	}
	edge := ec{"a": strings.Repeat("ü", grants.MaximumConstraint-1)}
	for name, tt := range map[string]struct {
		grant grants.Grant
		spec  keys.Spec
		want  error
		says  string
	}{
		"an ordinary one":           {grants.Grant{Operations: ops{"Decrypt"}, Equals: ec{"a": "b"}}, keys.SymmetricDefault, nil, ""},
		"no operation":              {grants.Grant{}, keys.SymmetricDefault, grants.ErrOperation, "it has none"},
		"one of another key":        {grants.Grant{Operations: ops{"Sign"}}, keys.SymmetricDefault, grants.ErrOperation, "does not support Sign"},
		"a constraint of RSA":       {grants.Grant{Operations: ops{"Decrypt"}, Subset: ec{"a": "b"}}, "RSA_2048", grants.ErrConstraint, "have no encryption context"},
		"an empty constraint":       {grants.Grant{Operations: ops{"Decrypt"}, Equals: ec{}}, keys.SymmetricDefault, grants.ErrConstraint, "EncryptionContextEquals has no pair"},
		"nine pairs":                {grants.Grant{Operations: ops{"Decrypt"}, Subset: many}, keys.SymmetricDefault, grants.ErrConstraint, "EncryptionContextSubset has 9 pairs: 8 are the most"},
		"as many characters as may": {grants.Grant{Operations: ops{"Decrypt"}, Subset: edge}, keys.SymmetricDefault, nil, ""},
		"one character more":        {grants.Grant{Operations: ops{"Decrypt"}, Subset: ec{"ab": edge["a"]}}, keys.SymmetricDefault, grants.ErrConstraint, "has 385 characters"},
		"keys of two cases":         {grants.Grant{Operations: ops{"Decrypt"}, Subset: ec{"a": "", "A": ""}}, keys.SymmetricDefault, grants.ErrConstraint, "differ in case alone"},
	} {
		err := tt.grant.Check(tt.spec, keys.EncryptDecrypt)
		if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrincipalsOfGrantsAreUsersRolesSessionsAndAccounts(t *testing.T) {
	const account = "111122223333"
	for value, want := range map[string]string{
		account:                             "arn:aws:iam::" + account + ":root",
		"arn:aws:iam::" + account + ":root": "arn:aws:iam::" + account + ":root",
		"arn:aws:iam::" + account + ":user/team/ada":                    "arn:aws:iam::" + account + ":user/team/ada",
		"arn:aws:iam::" + account + ":role/app":                         "arn:aws:iam::" + account + ":role/app",
		"arn:aws:sts::" + account + ":assumed-role/app/pod":             "arn:aws:sts::" + account + ":assumed-role/app/pod",
		"arn:aws:sts::" + account + ":federated-user/bob":               "arn:aws:sts::" + account + ":federated-user/bob",
		"arn:aws:sts::" + account + ":assumed-role/app":                 "",
		"arn:aws:iam::" + account + ":group/admins":                     "",
		"arn:aws:iam::" + account + ":policy/p":                         "",
		"arn:aws:iam::" + account + ":user/":                            "",
		"arn:aws:iam::" + account + ":user/*":                           "",
		"arn:aws:iam::" + account + ":root/x":                           "",
		"arn:aws:iam:us-east-1:" + account + ":user/a":                  "",
		"arn:aws-cn:iam::" + account + ":user/a":                        "",
		"arn:aws:iam::11112222333:user/a":                               "",
		"arn:aws:kms::" + account + ":user/a":                           "",
		"*":                                                             "",
		"":                                                              "",
		"secretsmanager.amazonaws.com":                                  "",
		"AROAEXAMPLE":                                                   "",
		"arn:aws:iam::" + account + ":user/" + strings.Repeat("x", 228): "",
	} {
		got, err := grants.Principal(value)
		if got != want || (want == "") != errors.Is(err, grants.ErrPrincipal) {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
}

func FuzzPrincipal(f *testing.F) {
	for _, seed := range []string{"111122223333", "arn:aws:iam::111122223333:role/app", "arn:aws:sts::111122223333:assumed-role/a/b", "arn:aws:iam::1:*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		name, err := grants.Principal(value)
		if err != nil {
			return
		}
		if again, err := grants.Principal(name); err != nil || again != name {
			t.Errorf("%q is %q, and then %q, %v", value, name, again, err)
		}
	})
}
