package parameterstore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// history is an index of the versions from one number to another; labels are by number.
func history(from, to int64, labels map[int64][]string) (ix versions.Index) {
	for n := from; n <= to; n++ {
		ix = append(ix, versions.Version{
			ID: versions.Number(n), Sequence: n, Stages: labels[n], Created: noon.Add(time.Duration(n) * time.Minute),
		})
	}
	return ix
}

func TestStatusAndIndexSayTheSame(t *testing.T) {
	p := &v1alpha1.Parameter{}
	ix := history(3, 7, map[int64][]string{4: {"old", "stable"}})
	if gone := parameterstore.Record(p, "arn", ix, 5); len(gone) != 0 {
		t.Errorf("%v goes", gone)
	}
	if p.Status.ARN != "arn" || p.Status.Version != 7 || !p.Status.LastModifiedTime.Equal(ptrTime(noon.Add(7*time.Minute))) {
		t.Errorf("%+v", p.Status)
	}
	back := parameterstore.IndexOf(p)
	if fmt.Sprint(back) != fmt.Sprint(ix) {
		t.Errorf("%v came back as %v", ix, back)
	}
}

func ptrTime(at time.Time) *metav1.Time { t := metav1.NewTime(at); return &t }

// Random histories, however long: what stays and what goes is all there was, the latest stays, and nothing with a label goes.
func TestNoHistoryLosesItsLatestOrALabelledVersion(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		labels := map[int64][]string{}
		first, length := random.Int64N(1000)+1, random.Int64N(130)+1
		for range random.IntN(20) {
			labels[first+random.Int64N(length)] = []string{fmt.Sprint("l", random.IntN(1000))}
		}
		ix := history(first, first+length-1, labels)
		p := &v1alpha1.Parameter{}
		gone := parameterstore.Record(p, "arn", slices.Clone(ix), 1)
		kept := parameterstore.IndexOf(p)
		all := slices.Concat(kept, gone)
		slices.SortFunc(all, func(a, b versions.Version) int { return int(a.Sequence - b.Sequence) })
		if fmt.Sprint(all) != fmt.Sprint(ix) {
			t.Fatalf("seed %d: %v became %v and %v", seed, ix, kept, gone)
		}
		if p.Status.Version != ix.Last() || len(kept) > 100 && len(gone) > 0 && len(kept)-len(labels) > 100 {
			t.Fatalf("seed %d: %d stay, the latest is %d", seed, len(kept), p.Status.Version)
		}
		for _, v := range gone {
			if len(v.Stages) > 0 {
				t.Fatalf("seed %d: version %d goes with its labels %v", seed, v.Sequence, v.Stages)
			}
		}
	}
}

func TestASelectorNamesAVersionALabelOrTheLatest(t *testing.T) {
	p := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	parameterstore.Record(p, "arn", history(8, 12, map[int64][]string{9: {"stable", "v8"}, 12: {"new"}}), 1)
	for selector, want := range map[string]int64{"": 12, "8": 8, "12": 12, "stable": 9, "v8": 9, "new": 12} {
		if v, err := parameterstore.Select(p, selector); err != nil || v.Sequence != want {
			t.Errorf("%q is %d, %v; want %d", selector, v.Sequence, err, want)
		}
	}
	for _, selector := range []string{"7", "13", "0", "-1", "Stable", "none", "1e1", "99999999999999999999", " 8"} {
		_, err := parameterstore.Select(p, selector)
		if code(err) != "ParameterVersionNotFound" || !strings.Contains(err.Error(), selector) {
			t.Errorf("%q: %v", selector, err)
		}
	}
	if _, err := parameterstore.Select(&v1alpha1.Parameter{}, ""); code(err) != "ParameterNotFound" {
		t.Errorf("of a parameter without a version: %v", err)
	}
}

// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
func TestTheTierIsWhatWasAskedForOrWhatTheValueNeedsAndNeverComesDown(t *testing.T) {
	const standard, advanced, intelligent = v1alpha1.TierStandard, v1alpha1.TierAdvanced, v1alpha1.TierIntelligent
	for _, tt := range []struct {
		asked, now v1alpha1.ParameterTier
		size       int
		want       v1alpha1.ParameterTier
	}{
		{"", "", 1, standard}, {"", "", 4096, standard}, {standard, "", 4096, standard}, {advanced, "", 1, advanced},
		{intelligent, "", 4096, standard}, {intelligent, "", 4097, advanced}, {intelligent, standard, 4097, advanced},
		{intelligent, advanced, 1, advanced}, {standard, advanced, 1, advanced}, {"", advanced, 1, advanced},
		{intelligent, standard, 0, standard}, // a write that knows no size, such as that of a label
	} {
		p := &v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{Tier: tt.asked}, Status: v1alpha1.ParameterStatus{Tier: tt.now}}
		if parameterstore.Record(p, "arn", history(1, 1, nil), tt.size); p.Status.Tier != tt.want {
			t.Errorf("%q, now %q, of %d bytes: %s, want %s", tt.asked, tt.now, tt.size, p.Status.Tier, tt.want)
		}
	}
}

func TestAValueIsCheckedForSizePatternAndReferencesAndTheFaultTellsNothingOfIt(t *testing.T) {
	const text, list, secure = v1alpha1.ParameterString, v1alpha1.ParameterStringList, v1alpha1.ParameterSecureString
	n := func(n int) string { return strings.Repeat("s", n) }
	for _, tt := range []struct {
		what  string
		spec  v1alpha1.ParameterSpec
		now   v1alpha1.ParameterTier
		value string
		want  string // of the fault; nothing for none
	}{
		{"nothing", v1alpha1.ParameterSpec{Type: text}, "", "", "empty"},
		{"one byte", v1alpha1.ParameterSpec{Type: text}, "", "s", ""},
		{"one below Standard's size", v1alpha1.ParameterSpec{Type: text}, "", n(4095), ""},
		{"Standard's size", v1alpha1.ParameterSpec{Type: text}, "", n(4096), ""},
		{"one byte more", v1alpha1.ParameterSpec{Type: text}, "", n(4097), "4097 bytes; its tier has at most 4096"},
		{"bytes and not characters", v1alpha1.ParameterSpec{Type: text}, "", strings.Repeat("é", 2049), "4098 bytes"},
		{"Advanced, asked for", v1alpha1.ParameterSpec{Type: text, Tier: v1alpha1.TierAdvanced}, "", n(8192), ""},
		{"one byte more than Advanced", v1alpha1.ParameterSpec{Type: text, Tier: v1alpha1.TierAdvanced}, "", n(8193), "8193 bytes; its tier has at most 8192"},
		{"Intelligent-Tiering", v1alpha1.ParameterSpec{Type: text, Tier: v1alpha1.TierIntelligent}, "", n(8192), ""},
		{"one that is Advanced by now", v1alpha1.ParameterSpec{Type: text, Tier: v1alpha1.TierStandard}, v1alpha1.TierAdvanced, n(8192), ""},
		{"a reference", v1alpha1.ParameterSpec{Type: text}, "", "s{{ssm:x}}", "{{"},
		{"a reference in a list", v1alpha1.ParameterSpec{Type: list}, "", "a,{{x}}", "{{"},
		{"the same in a secret, which is no reference", v1alpha1.ParameterSpec{Type: secure}, "", "p4{{ss}}", ""},
		{"a list with an empty item", v1alpha1.ParameterSpec{Type: list}, "", "a,,b", ""},
		{"the pattern", v1alpha1.ParameterSpec{Type: text, AllowedPattern: "^s+$"}, "", "sss", ""},
		{"not the pattern", v1alpha1.ParameterSpec{Type: text, AllowedPattern: "^[0-9]+$"}, "", "sss", "does not match"},
		{"a pattern in the middle", v1alpha1.ParameterSpec{Type: text, AllowedPattern: "[0-9]"}, "", "s1s", ""},
		{"no pattern", v1alpha1.ParameterSpec{Type: text, AllowedPattern: "("}, "", "sss", "no regular expression"},
		{"Java's look-ahead", v1alpha1.ParameterSpec{Type: text, AllowedPattern: "(?=s)"}, "", "sss", "no regular expression"},
	} {
		value := secretbytes.Copy([]byte(tt.value))
		err := parameterstore.CheckValue(&v1alpha1.Parameter{Spec: tt.spec, Status: v1alpha1.ParameterStatus{Tier: tt.now}}, value)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.what, err, tt.want)
			continue
		}
		if err == nil {
			continue
		}
		if f := fault.Of(err); f.Reason != v1alpha1.ReasonInvalidValue || !f.Stalled {
			t.Errorf("%s: %s, stalled %t", tt.what, f.Reason, f.Stalled)
		}
		if len(tt.value) > 2 && strings.Contains(err.Error(), tt.value) {
			t.Errorf("%s: the fault tells the value", tt.what)
		}
	}
}

func TestTheWindowAndTheKeyAreThoseOfTheSpecOrTheDefaults(t *testing.T) {
	p := &v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{Type: v1alpha1.ParameterString}}
	if w := parameterstore.RecoveryWindow(p); w != 30*24*time.Hour {
		t.Error(w)
	}
	p.Spec.Deletion = &v1alpha1.SecretDeletion{}
	if w := parameterstore.RecoveryWindow(p); w != 30*24*time.Hour {
		t.Error(w)
	}
	p.Spec.Deletion.RecoveryWindowInDays = 7
	if w := parameterstore.RecoveryWindow(p); w != 7*24*time.Hour {
		t.Error(w)
	}
	key := &v1alpha1.LocalReference{Name: "mine"}
	for _, tt := range []struct {
		of   v1alpha1.ParameterType
		ref  *v1alpha1.LocalReference
		want string
	}{
		{v1alpha1.ParameterString, nil, ""}, {v1alpha1.ParameterStringList, nil, ""},
		{v1alpha1.ParameterSecureString, nil, "aws-ssm"}, {v1alpha1.ParameterSecureString, key, "mine"},
	} {
		p := &v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{Type: tt.of, KMSKeyRef: tt.ref}}
		if got := parameterstore.KeyName(p); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.of, got, tt.want)
		}
	}
}
