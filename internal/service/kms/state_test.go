package kms_test

import (
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
)

func headerOf(blob []byte) (keys.Header, error) { return keys.ParseHeader(blob) }

// in is a key whose status has a state, whose spec says enabled or not, and that is being deleted or not.
func in(state v1alpha1.KeyState, enabled *bool, deleting bool) *v1alpha1.KMSKey {
	k := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{Enabled: enabled}, Status: v1alpha1.KMSKeyStatus{KeyState: state}}
	if deleting {
		k.DeletionTimestamp = &metav1.Time{Time: metav1.Now().Time}
	}
	return k
}

func TestTheStateOfAKeyIsThatOfItsMaterialAndThenThatOfItsSpec(t *testing.T) {
	one := []v1alpha1.KeyMaterial{{ID: "m"}}
	for name, tt := range map[string]struct {
		materials   []v1alpha1.KeyMaterial
		enabled     *bool
		unavailable bool
		want        v1alpha1.KeyState
	}{
		"whose material opens":             {one, nil, false, v1alpha1.KeyStateEnabled},
		"that says it is enabled":          {one, ptr.To(true), false, v1alpha1.KeyStateEnabled},
		"that says it is not":              {one, ptr.To(false), false, v1alpha1.KeyStateDisabled},
		"without material":                 {nil, nil, false, v1alpha1.KeyStateCreating},
		"without material and not enabled": {nil, ptr.To(false), false, v1alpha1.KeyStateCreating},
		"whose material does not open":     {one, nil, true, v1alpha1.KeyStateUnavailable},
		"that is neither":                  {one, ptr.To(false), true, v1alpha1.KeyStateUnavailable},
	} {
		k := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{Enabled: tt.enabled}, Status: v1alpha1.KMSKeyStatus{KeyMaterials: tt.materials}}
		if got := kms.State(k, tt.unavailable); got != tt.want {
			t.Errorf("a key %s is %s", name, got)
		}
		k.Spec.Deletion = &v1alpha1.KeyDeletion{Scheduled: true}
		if got := kms.State(k, tt.unavailable); (got == v1alpha1.KeyStatePendingDeletion) != (len(tt.materials) > 0) {
			t.Errorf("a key %s that is scheduled for deletion is %s", name, got)
		}
	}
}

func TestWhatTheSpecSaysCountsBeforeTheControllerHasLookedAndWhatWasFoundIsNotForgotten(t *testing.T) {
	const enabled, disabled = v1alpha1.KeyStateEnabled, v1alpha1.KeyStateDisabled
	for _, tt := range []struct {
		status v1alpha1.KeyState
		spec   *bool
		want   v1alpha1.KeyState
	}{
		{"", nil, v1alpha1.KeyStateCreating}, {"", ptr.To(false), v1alpha1.KeyStateCreating},
		{enabled, nil, enabled}, {enabled, ptr.To(true), enabled}, {enabled, ptr.To(false), disabled},
		{disabled, nil, enabled}, {disabled, ptr.To(true), enabled}, {disabled, ptr.To(false), disabled},
		{v1alpha1.KeyStateUnavailable, nil, v1alpha1.KeyStateUnavailable}, {v1alpha1.KeyStateUnavailable, ptr.To(false), v1alpha1.KeyStateUnavailable},
		{v1alpha1.KeyStateCreating, ptr.To(true), v1alpha1.KeyStateCreating},
		{v1alpha1.KeyStatePendingDeletion, ptr.To(true), enabled}, {v1alpha1.KeyStatePendingDeletion, ptr.To(false), disabled}, // cancelled
		{"Unheard", nil, "Unheard"},
	} {
		key := in(tt.status, tt.spec, false)
		if got := kms.StateNow(key); got != tt.want {
			t.Errorf("status %q, spec %v: %s, want %s", tt.status, tt.spec, got, tt.want)
		}
		if tt.want == v1alpha1.KeyStateCreating { // there is nothing yet to delete
			continue
		}
		key.Spec.Deletion = &v1alpha1.KeyDeletion{Scheduled: true}
		if got := kms.StateNow(key); got != v1alpha1.KeyStatePendingDeletion {
			t.Errorf("status %q, spec %v, and scheduled for deletion: %s", tt.status, tt.spec, got)
		}
	}
}

var (
	operations = []keys.Operation{
		keys.Encrypt, keys.Decrypt, keys.ReEncrypt, keys.GenerateDataKey, keys.GenerateDataKeyWithoutPlaintext, keys.GenerateDataKeyPair,
		keys.GenerateDataKeyPairWithoutPlaintext, keys.Sign, keys.Verify, keys.GenerateMac, keys.VerifyMac, keys.GetPublicKey, keys.DescribeKey,
		keys.EnableKey, keys.DisableKey, keys.Encapsulate, keys.Decapsulate, keys.TagResource, keys.UpdateAlias, keys.RotateKeyOnDemand, keys.PutKeyPolicy,
	}
	keyStates = []v1alpha1.KeyState{
		"", v1alpha1.KeyStateCreating, v1alpha1.KeyStateEnabled, v1alpha1.KeyStateDisabled, v1alpha1.KeyStatePendingDeletion, v1alpha1.KeyStateUnavailable,
	}
)

// The controllers use keys by CheckUsable and the API by StateFor. Whatever the API refuses for a state the controllers must not do,
// but for what they do with a key that is being deleted: read and believe what it has made.
func TestTheControllersAreLetDoNothingThatTheAPIIsRefused(t *testing.T) {
	for _, usage := range []v1alpha1.KeyUsage{v1alpha1.KeyUsageEncryptDecrypt, v1alpha1.KeyUsageSignVerify, v1alpha1.KeyUsageEncapsulateDecapsulate} {
		for _, state := range keyStates {
			for _, spec := range []*bool{nil, ptr.To(false)} {
				for _, deleting := range []bool{false, true} {
					for _, op := range operations {
						k := in(state, spec, deleting)
						k.Spec.KeyUsage = usage
						name := fmt.Sprintf("%s of a %s key that is %q (spec %v, being deleted %t)", op, usage, state, spec != nil, deleting)
						api, controllers := keys.State(kms.StateFor(k, op)).Permits(op), kms.CheckUsable(k, op)
						if controllers == nil && api != nil && !deleting {
							t.Errorf("%s: the API says %v", name, api)
						}
						if deleting && controllers == nil && (op == keys.Encrypt || op == keys.Sign || op == keys.GenerateDataKey || op == keys.Encapsulate) {
							t.Errorf("%s makes something new", name)
						}
						if wrong := keys.Usage(usage).CheckUsage(op); wrong != nil && !errors.Is(controllers, keys.ErrKeyUsage) {
							t.Errorf("%s: %v", name, controllers)
						}
						if controllers == nil {
							continue
						}
						f := fault.Of(controllers)
						if f.Reason != v1alpha1.ReasonKeyUnusable || f.Stalled != errors.Is(controllers, keys.ErrKeyUsage) {
							t.Errorf("%s: reason %s, stalled %t", name, f.Reason, f.Stalled)
						}
					}
				}
			}
		}
	}
}

func TestAKeyThatNamesNoSpecAndNoUsageEncrypts(t *testing.T) {
	k := &v1alpha1.KMSKey{}
	if kms.SpecOf(k) != keys.SymmetricDefault || kms.UsageOf(k) != keys.EncryptDecrypt || !kms.Enabled(k) {
		t.Errorf("%s, %s", kms.SpecOf(k), kms.UsageOf(k))
	}
}

// Keys that the API makes have their id for a name, so that it is the same in a rebuilt cluster.
func TestTheIDOfAKeyIsItsNameIfThatIsAnIDAndItsUIDElse(t *testing.T) {
	const uid = "11111111-2222-4333-8444-555555555555"
	for name, want := range map[string]string{
		keyID: keyID, "shop": uid, "mrk-" + "1234abcd12ab34cd56ef1234567890ab": uid, "1234ABCD-12ab-34cd-56ef-1234567890ab": uid,
		keyID + "0": uid, keyID[:35]: uid, "1234abcd12ab34cd56ef1234567890ab": uid,
	} {
		k := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid)}}
		if got := kms.KeyID(k); got != want {
			t.Errorf("%s has the id %s", name, got)
		}
	}
}

func TestTheRegionOfAKeyIsThatOfItsARNThatOfItsSpecOrHome(t *testing.T) {
	k := &v1alpha1.KMSKey{}
	if got := kms.RegionOf(k, "us-east-1"); got != "us-east-1" {
		t.Error(got)
	}
	if k.Spec.Region = "eu-west-1"; kms.RegionOf(k, "us-east-1") != "eu-west-1" {
		t.Error(kms.RegionOf(k, "us-east-1"))
	}
	if k.Status.ARN = "arn:aws:kms:ap-south-1:111122223333:key/" + keyID; kms.RegionOf(k, "us-east-1") != "ap-south-1" {
		t.Error("what is encrypted names the ARN, so its region stays")
	}
}

func TestOfSortedMaterialsTheLastIsCurrentAndNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sequences := rapid.SliceOfDistinct(rapid.Int64Range(1, 1<<40), rapid.ID).Draw(t, "sequences")
		status := &v1alpha1.KMSKeyStatus{OnDemandRotations: 99}
		var last int64
		onDemand := int32(0)
		for _, n := range sequences {
			m := v1alpha1.KeyMaterial{ID: fmt.Sprint(n), Sequence: n, State: v1alpha1.KeyMaterialCurrent}
			if rapid.Bool().Draw(t, "on demand") {
				m.RotationType = v1alpha1.RotationOnDemand
				onDemand++
			}
			status.KeyMaterials, last = append(status.KeyMaterials, m), max(last, n)
		}
		kms.SortMaterials(status)
		if status.OnDemandRotations != onDemand || len(status.KeyMaterials) != len(sequences) {
			t.Fatalf("%d rotations on demand of %d materials", status.OnDemandRotations, len(status.KeyMaterials))
		}
		for i, m := range status.KeyMaterials {
			if i > 0 && status.KeyMaterials[i-1].Sequence >= m.Sequence || (m.State == v1alpha1.KeyMaterialCurrent) != (m.Sequence == last) {
				t.Fatalf("%+v", status.KeyMaterials)
			}
		}
		if current, ok := kms.CurrentMaterial(&v1alpha1.KMSKey{Status: *status}); ok != (len(sequences) > 0) || current.Sequence != last {
			t.Fatalf("%+v, want %d", current, last)
		}
	})
}

// Tables of an index hold what it finds objects by: nothing of other kinds, and nothing that is empty.
func TestTheIndexesOfKeysHoldTheirARNTheirIDAndEachAlias(t *testing.T) {
	full := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{Aliases: []string{"alias/a", "alias/b"}}, Status: v1alpha1.KMSKeyStatus{ARN: "arn", KeyID: keyID}}
	for name, tt := range map[string]struct {
		got  []string
		want string
	}{
		"ARN": {kms.IndexARN(full), "[arn]"}, "id": {kms.IndexKeyID(full), "[" + keyID + "]"}, "aliases": {kms.IndexAlias(full), "[alias/a alias/b]"},
		"no ARN": {kms.IndexARN(&v1alpha1.KMSKey{}), "[]"}, "no id": {kms.IndexKeyID(&v1alpha1.KMSKey{}), "[]"}, "no aliases": {kms.IndexAlias(&v1alpha1.KMSKey{}), "[]"},
		"a Secret's ARN":   {kms.IndexARN(&v1alpha1.Secret{Status: v1alpha1.SecretStatus{ARN: "arn"}}), "[]"},
		"a Secret's id":    {kms.IndexKeyID(&v1alpha1.Secret{}), "[]"},
		"a Secret's alias": {kms.IndexAlias(&v1alpha1.Secret{}), "[]"},
	} {
		if got := fmt.Sprint(tt.got); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
