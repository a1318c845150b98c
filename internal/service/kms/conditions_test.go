package kms_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/kms"
)

// Each condition key of AWS KMS as a policy asks for it, in lower case, and what is answered; nil for a key that the request does not
// have, which is not the same as one that is empty.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
func TestEachConditionKeyHasTheRequestsValueOrNone(t *testing.T) {
	key := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{
		Aliases: []string{"alias/a", "alias/b"}, Tags: []v1alpha1.Tag{{Key: "Team", Value: "shop"}, {Key: "empty", Value: ""}},
	}}
	signer := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{
		KeySpec: v1alpha1.KeySpecRSA2048, KeyUsage: v1alpha1.KeyUsageSignVerify, Origin: v1alpha1.KeyOriginCloudHSM,
	}}
	primary := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{MultiRegion: true}}
	replica := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{MultiRegion: true, ReplicaOf: &v1alpha1.PrimaryKey{Name: "a", Region: "us-east-1"}}}
	full := kms.Conditions{
		Key: key, CallerAccount: "111122223333", Alias: "alias/a", ViaService: "secretsmanager.us-east-1.amazonaws.com",
		EncryptionContext: map[string]string{"App": "shop", "Empty": ""},
		RequestTags:       []v1alpha1.Tag{{Key: "Cost", Value: "1"}}, RequestTagKeys: []string{"old"},
		More: iam.Map{"kms:signingalgorithm": {"ECDSA_SHA_256"}},
	}
	unused := func(*v1alpha1.KMSKey) int { return 89 }
	both := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{Tags: []v1alpha1.Tag{{Key: "Team", Value: "beta"}, {Key: "team", Value: "alpha"}}}}
	for name, tt := range map[string]struct {
		of   kms.Conditions
		key  string
		want []string
	}{
		"the caller's account":                        {full, "kms:calleraccount", []string{"111122223333"}},
		"the service that asks":                       {full, "kms:viaservice", []string{"secretsmanager.us-east-1.amazonaws.com"}},
		"no service, of a request of one's own":       {kms.Conditions{}, "kms:viaservice", nil},
		"the alias that was used":                     {full, "kms:requestalias", []string{"alias/a"}},
		"no alias, of a key named by id":              {kms.Conditions{Key: key}, "kms:requestalias", nil},
		"a pair of the context, in any case":          {full, "kms:encryptioncontext:app", []string{"shop"}},
		"a pair of the context that is empty":         {full, "kms:encryptioncontext:empty", []string{""}},
		"a pair that the context has not":             {full, "kms:encryptioncontext:other", nil},
		"the keys of a context, in their own case":    {full, "kms:encryptioncontextkeys", []string{"App", "Empty"}},
		"no keys of no context":                       {kms.Conditions{}, "kms:encryptioncontextkeys", nil},
		"a key of one operation":                      {full, "kms:signingalgorithm", []string{"ECDSA_SHA_256"}},
		"that of another operation":                   {full, "kms:messagetype", nil},
		"the spec of a key that names none":           {full, "kms:keyspec", []string{"SYMMETRIC_DEFAULT"}},
		"the spec of a key that signs":                {kms.Conditions{Key: signer}, "kms:keyspec", []string{"RSA_2048"}},
		"the usage of a key that names none":          {full, "kms:keyusage", []string{"ENCRYPT_DECRYPT"}},
		"the usage of a key that signs":               {kms.Conditions{Key: signer}, "kms:keyusage", []string{"SIGN_VERIFY"}},
		"the origin":                                  {full, "kms:keyorigin", []string{"AWS_KMS"}},
		"the origin of a key in a module":             {kms.Conditions{Key: signer}, "kms:keyorigin", []string{"AWS_CLOUDHSM"}},
		"that there is one region":                    {full, "kms:multiregion", []string{"false"}},
		"no type of a key of one region":              {full, "kms:multiregionkeytype", nil},
		"that there are many regions":                 {kms.Conditions{Key: primary}, "kms:multiregion", []string{"true"}},
		"that a key is the primary":                   {kms.Conditions{Key: primary}, "kms:multiregionkeytype", []string{"PRIMARY"}},
		"that a key is a replica":                     {kms.Conditions{Key: replica}, "kms:multiregionkeytype", []string{"REPLICA"}},
		"all aliases of the key":                      {full, "kms:resourcealiases", []string{"alias/a", "alias/b"}},
		"no aliases of a key without":                 {kms.Conditions{Key: signer}, "kms:resourcealiases", nil},
		"a tag of the key, in any case":               {full, "aws:resourcetag/team", []string{"shop"}},
		"tags that differ in case alone, in order":    {kms.Conditions{Key: both}, "aws:resourcetag/team", []string{"beta", "alpha"}},
		"the days without a use":                      {kms.Conditions{Key: key, UnusedDays: unused}, "kms:trailingdayswithoutkeyusage", []string{"89"}},
		"no days of an operation that ends no use":    {full, "kms:trailingdayswithoutkeyusage", nil},
		"no days of a key that is not there":          {kms.Conditions{UnusedDays: unused}, "kms:trailingdayswithoutkeyusage", nil},
		"a tag without a value":                       {full, "aws:resourcetag/empty", []string{""}},
		"a tag that the key has not":                  {full, "aws:resourcetag/cost", nil},
		"a tag of the request":                        {full, "aws:requesttag/cost", []string{"1"}},
		"a tag that the request does not set":         {full, "aws:requesttag/team", nil},
		"the keys of tags set and taken away":         {full, "aws:tagkeys", []string{"old", "Cost"}},
		"no keys of no tags":                          {kms.Conditions{Key: key}, "aws:tagkeys", nil},
		"a global key, which is the gateway's":        {full, "aws:sourceip", nil},
		"a key of another service":                    {full, "secretsmanager:name", nil},
		"of a key that is not there: no spec":         {kms.Conditions{CallerAccount: "1"}, "kms:keyspec", nil},
		"of a key that is not there: no tag":          {kms.Conditions{CallerAccount: "1"}, "aws:resourcetag/team", nil},
		"of a key that is not there: no aliases":      {kms.Conditions{CallerAccount: "1"}, "kms:resourcealiases", nil},
		"of a key that is not there: one region":      {kms.Conditions{CallerAccount: "1"}, "kms:multiregion", nil},
		"the operation's word comes before the key's": {kms.Conditions{Key: signer, More: iam.Map{"kms:keyspec": {"asked"}}}, "kms:keyspec", []string{"asked"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, found := tt.of.Values(tt.key)
			slices.Sort(got)
			slices.Sort(tt.want)
			if found != (tt.want != nil) || !slices.Equal(got, tt.want) {
				t.Errorf("%q, %t, want %q", got, found, tt.want)
			}
		})
	}
}

func TestAskingForTheKeysOfTagsDoesNotChangeTheRequest(t *testing.T) {
	taken := make([]string, 1, 8) // with room behind it, which append would write to
	taken[0] = "old"
	c := kms.Conditions{RequestTagKeys: taken, RequestTags: []v1alpha1.Tag{{Key: "new"}}}
	for range 2 {
		if got, _ := c.Values("aws:tagkeys"); !slices.Equal(got, []string{"old", "new"}) {
			t.Errorf("%q", got)
		}
	}
	if got := taken[:2][1]; got != "" {
		t.Errorf("%q was written behind the request's", got)
	}
}

// A policy sees one condition key for all pairs whose keys differ in case alone. If it saw one of two values it could let in what the
// other forbids, so either all values are seen or the context is refused.
func TestAContextIsAmbiguousExactlyWhenTwoKeysAreOneToAPolicy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ec := rapid.MapOf(rapid.StringMatching(`[aAbB]{0,3}`), rapid.StringMatching(`[xy]?`)).Draw(t, "context")
		folded := map[string]int{}
		for name := range ec {
			folded[strings.ToLower(name)]++
		}
		twice := false
		for name, n := range folded {
			twice = twice || n > 1
			values, found := (&kms.Conditions{EncryptionContext: ec}).Values("kms:encryptioncontext:" + name)
			if !found || len(values) != n {
				t.Fatalf("%q has the values %q", name, values)
			}
		}
		if got := kms.AmbiguousContext(ec); got != twice {
			t.Fatalf("%v is ambiguous: %t", ec, got)
		}
	})
}
