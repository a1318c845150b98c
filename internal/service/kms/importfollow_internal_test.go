package kms

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// told is a record in short: id, rank, whether it waits, whether the bytes are there, and how it came to be.
func told(m *v1alpha1.KeyMaterial) string {
	text := fmt.Sprintf("%s %d", m.ID, m.Import.Rank)
	if m.Import.PendingRotation {
		text += " waits"
	}
	if m.Import.State == v1alpha1.ImportStatePendingImport {
		text += " without"
	}
	if m.RotationType != "" {
		text += " " + string(m.RotationType)
	}
	if m.Import.RotationTime != nil {
		text += " at " + m.Import.RotationTime.UTC().Format(time.TimeOnly)
	}
	return text
}

func turned(m *v1alpha1.KeyMaterial) {
	rotated(m)
	m.Import.RotationTime = at(time.Minute)
}

func TestAReplicaRecordsWhatItsPrimarySaysAndNothingElse(t *testing.T) {
	for name, tt := range map[string]struct {
		own, theirs []v1alpha1.KeyMaterial
		want        []string
	}{
		"nothing of a primary that has nothing": {},
		"its first, without the bytes":          {theirs: []v1alpha1.KeyMaterial{materialOf("a", 1, 1, ending(time.Hour))}, want: []string{"a 1 without"}},
		"each that it was rotated to, in their order": {
			theirs: []v1alpha1.KeyMaterial{materialOf("a", 4, 1, former), materialOf("b", 3, 2, turned)}, want: []string{"a 1 without", "b 2 without ON_DEMAND at 08:01:00"},
		},
		"also what is not there either": {theirs: []v1alpha1.KeyMaterial{materialOf("a", 2, 1, absent)}, want: []string{"a 1 without"}},
		"nothing of what it has, be it there or not": {
			own: []v1alpha1.KeyMaterial{materialOf("a", 9, 1, absent)}, theirs: []v1alpha1.KeyMaterial{materialOf("a", 1, 1)},
		},
		"nothing of what waits at the primary": {own: []v1alpha1.KeyMaterial{materialOf("a", 1, 1)}, theirs: []v1alpha1.KeyMaterial{materialOf("a", 1, 1), materialOf("b", 2, 2, waiting)}},
		"nothing of what waits at both": {
			own: []v1alpha1.KeyMaterial{materialOf("a", 1, 1), materialOf("b", 7, 2, waiting)}, theirs: []v1alpha1.KeyMaterial{materialOf("a", 1, 1), materialOf("b", 2, 2, waiting)},
		},
		"what waits here when the primary was rotated to it, with the bytes": {
			own: []v1alpha1.KeyMaterial{materialOf("a", 1, 1), materialOf("b", 7, 2, waiting)}, theirs: []v1alpha1.KeyMaterial{materialOf("a", 1, 1, former), materialOf("b", 3, 2, turned)},
			want: []string{"b 2 ON_DEMAND at 08:01:00"},
		},
		"that what waits here is gone at the primary": {
			own: []v1alpha1.KeyMaterial{materialOf("a", 1, 1), materialOf("b", 7, 2, waiting)}, theirs: []v1alpha1.KeyMaterial{materialOf("a", 1, 1)}, want: []string{"b 2 waits without"},
		},
		"what is gone before what waits in its place": {
			own:    []v1alpha1.KeyMaterial{materialOf("a", 1, 1), materialOf("b", 7, 2, waiting)},
			theirs: []v1alpha1.KeyMaterial{materialOf("a", 1, 1, former), materialOf("c", 5, 2, turned), materialOf("d", 6, 3, waiting)},
			want:   []string{"b 2 waits without", "c 2 without ON_DEMAND at 08:01:00"},
		},
		"nothing of what it has and its primary lacks": {own: []v1alpha1.KeyMaterial{materialOf("a", 1, 1)}, theirs: nil},
	} {
		var got []string
		for _, record := range decideFollow(tt.own, tt.theirs) {
			got = append(got, told(record))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestARecordOfAReplicaHasNeitherTheEndNorTheDescriptionNorTheRequestOfItsPrimarys(t *testing.T) {
	theirs := materialOf("a", 1, 1, ending(time.Hour), requestedBy("x"), func(m *v1alpha1.KeyMaterial) { m.Import.Description = "d" })
	record := decideFollow(nil, []v1alpha1.KeyMaterial{theirs})[0]
	if record.Import.ValidTo != nil || record.Import.Description != "" || record.Import.Request != "" || record.Sequence != 0 {
		t.Errorf("%+v %+v", record, record.Import)
	}
	own := materialOf("b", 7, 2, waiting, ending(time.Hour), func(m *v1alpha1.KeyMaterial) { m.Import.Description = "mine" })
	record = decideFollow([]v1alpha1.KeyMaterial{own}, []v1alpha1.KeyMaterial{materialOf("b", 2, 2, turned, ending(9*time.Hour))})[0]
	if !record.Import.ValidTo.Equal(at(time.Hour)) || record.Import.Description != "mine" {
		t.Errorf("%+v", record.Import)
	}
	record.Import.RotationTime.Time = record.Import.RotationTime.Add(time.Hour)
	if decideFollow([]v1alpha1.KeyMaterial{own}, []v1alpha1.KeyMaterial{materialOf("b", 2, 2, turned)})[0].Import.RotationTime.Equal(record.Import.RotationTime) {
		t.Error("two keys share a time")
	}
}

func TestAReplicaTakesWhatItsPrimaryHasAndNothingNew(t *testing.T) {
	const fresh, existing = v1alpha1.ImportTypeNew, v1alpha1.ImportTypeExisting
	a, b := materialOf("a", 1, 1), materialOf("b", 2, 2, waiting)
	listed := materialOf("a", 5, 1, absent)
	for name, tt := range map[string]struct {
		had, primary []v1alpha1.KeyMaterial
		single       bool
		id           string
		asked        Import
		want         string
		refused      error
	}{
		"the primary's, of which it has the record":                 {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a}, id: "a", want: "a 1"},
		"also said to exist":                                        {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a}, id: "a", asked: Import{Type: existing}, want: "a 1"},
		"and said to be new, as long as it has nothing":             {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a}, id: "a", asked: Import{Type: fresh}, want: "a 1"},
		"other material":                                            {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a}, id: "b", refused: ErrIncorrectMaterial},
		"other material that is said to be new":                     {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a}, id: "b", asked: Import{Type: fresh}, refused: ErrIncorrectMaterial},
		"any, before the primary has some":                          {id: "a", refused: ErrIncorrectMaterial},
		"what waits at the primary":                                 {had: []v1alpha1.KeyMaterial{a}, primary: []v1alpha1.KeyMaterial{a, b}, id: "b", want: "b 2 waits"},
		"what waits at the primary, said to be new":                 {had: []v1alpha1.KeyMaterial{a}, primary: []v1alpha1.KeyMaterial{a, b}, id: "b", asked: Import{Type: fresh}, refused: ErrNewAtPrimary},
		"what waits at the primary, when nothing else is there":     {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a, b}, id: "b", want: "b 2 waits"},
		"what waits at both, as it is":                              {had: []v1alpha1.KeyMaterial{a, b}, primary: []v1alpha1.KeyMaterial{a, b}, id: "b"},
		"what waits at both, with an end":                           {had: []v1alpha1.KeyMaterial{a, b}, primary: []v1alpha1.KeyMaterial{a, b}, id: "b", asked: Import{ValidTo: new(importTime.Add(time.Hour))}, want: "b 2 waits"},
		"what it has, without a primary":                            {had: []v1alpha1.KeyMaterial{listed}, id: "a", want: "a 1"},
		"what it never had, without a primary":                      {had: []v1alpha1.KeyMaterial{listed}, id: "b", refused: ErrIncorrectMaterial},
		"the primary's, by the id of it":                            {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a}, id: "a", asked: Import{MaterialID: "a"}, want: "a 1"},
		"the primary's, by another id":                              {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a}, id: "a", asked: Import{MaterialID: "b"}, refused: ErrIncorrectMaterial},
		"the primary's, of a key that does not rotate":              {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a}, single: true, id: "a", want: "a 1"},
		"a type, of a key that does not rotate":                     {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a}, single: true, id: "a", asked: Import{Type: existing}, refused: ErrSymmetricOnly},
		"an end of its own, whatever the primary's is":              {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{materialOf("a", 1, 1, ending(time.Minute))}, id: "a", want: "a 1"},
		"an end in the past":                                        {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{a}, id: "a", asked: Import{ValidTo: new(importTime)}, refused: ErrImportParameters},
		"what the primary lost, as the replica has the record, too": {had: []v1alpha1.KeyMaterial{listed}, primary: []v1alpha1.KeyMaterial{materialOf("a", 1, 1, absent)}, id: "a", want: "a 1"},
	} {
		in := &importInput{Import: tt.asked, materials: tt.had, primary: tt.primary, rotates: !tt.single, id: tt.id, now: importTime, replica: true}
		record, err := decideImport(in)
		got := ""
		if record != nil {
			got = told(record)
			if record.Import.State != v1alpha1.ImportStateImported {
				t.Errorf("%s: it is not there", name)
			}
		}
		if got != tt.want || !errors.Is(err, tt.refused) || tt.refused == nil && err != nil {
			t.Errorf("%s: %q %v, want %q %v", name, got, err, tt.want, tt.refused)
		}
	}
}

func TestNewMaterialWaitsUntilTheChangeOfThePrimaryIsOverAndTheSameMaterialDoesNot(t *testing.T) {
	in := &importInput{Import: Import{Type: v1alpha1.ImportTypeNew}, materials: []v1alpha1.KeyMaterial{materialOf("a", 1, 1)}, rotates: true, id: "b", now: importTime, updating: true}
	if _, err := decideImport(in); !errors.Is(err, ErrPrimaryChanging) {
		t.Errorf("new material: %v", err)
	}
	in.Type, in.id, in.ValidTo = "", "a", new(importTime.Add(time.Hour))
	if record, err := decideImport(in); record == nil || err != nil {
		t.Errorf("the same material: %v", err)
	}
}

// keyLog is one key with the log that its index comes from.
type keyLog struct {
	status v1alpha1.KMSKeyStatus
	log    []v1alpha1.KeyMaterial
}

func (k *keyLog) record(m *v1alpha1.KeyMaterial) {
	if m == nil {
		return
	}
	made := *m.DeepCopy()
	made.Sequence = k.status.LastImportSequence + 1
	k.log = append(k.log, made)
	TakeImports(&k.status, made)
}

// follow records up to so many records, and tells whether there were more.
func (k *keyLog) follow(primary *keyLog, most int) (more bool) {
	for range most {
		records := decideFollow(importsOf(&k.status), importsOf(&primary.status))
		if len(records) == 0 {
			return false
		}
		k.record(records[0])
	}
	return len(decideFollow(importsOf(&k.status), importsOf(&primary.status))) > 0
}

func settledIDs(s *v1alpha1.KMSKeyStatus) string {
	var b strings.Builder
	for _, m := range s.KeyMaterials {
		if !m.Import.PendingRotation {
			fmt.Fprintf(&b, "%s %d %s %s %v\n", m.ID, m.Import.Rank, m.State, m.RotationType, m.Import.RotationTime)
		}
	}
	return b.String()
}

// Whatever is done to a primary and its replica, and wherever the replica's pass dies, following brings the replica to the primary's materials, in their order, and takes away nothing that
// was imported into it but what waits no more.
func TestAReplicaThatFollowsHasThePrimarysMaterialsAndKeepsItsOwnBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var primary, replica keyLog
		now := importTime
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "hours")) * time.Hour)
			switch rapid.IntRange(0, 3).Draw(t, "who") {
			case 0, 1:
				primary.record(change(t, &primary.status, now))
			case 2:
				if replica.follow(&primary, rapid.IntRange(0, 3).Draw(t, "before it dies")) {
					continue
				}
				id := fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "material"))
				record, err := decideImport(&importInput{materials: importsOf(&replica.status), primary: importsOf(&primary.status), rotates: true, id: id, now: now, replica: true})
				if known := materialAt(primary.status.KeyMaterials, id) >= 0; known != (err == nil) {
					t.Fatalf("material %s, which the primary has: %t, is imported: %v", id, known, err)
				}
				replica.record(record)
			case 3:
				record, _, _ := decideDelete(importsOf(&replica.status), fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "deleted")))
				replica.record(record)
			}
		}
		had := replica.status.DeepCopy()
		if replica.follow(&primary, 100) {
			t.Fatal("it never ends")
		}
		if got, want := settledIDs(&replica.status), settledIDs(&primary.status); got != want {
			t.Fatalf("the replica has\n%s\nand the primary\n%s", got, want)
		}
		for _, m := range had.KeyMaterials {
			at := materialAt(replica.status.KeyMaterials, m.ID)
			there := at >= 0 && replica.status.KeyMaterials[at].Import.State == m.Import.State
			if gone := materialAt(primary.status.KeyMaterials, m.ID) < 0; gone == there {
				t.Fatalf("material %s, gone at the primary: %t, and there as it was: %t", m.ID, gone, there)
			}
		}
		for _, m := range replica.status.KeyMaterials {
			at := materialAt(primary.status.KeyMaterials, m.ID)
			if at < 0 || m.Import.PendingRotation != primary.status.KeyMaterials[at].Import.PendingRotation {
				t.Fatalf("material %s waits where its primary's does not", m.ID)
			}
		}
		var lost v1alpha1.KMSKeyStatus
		RebuildImports(&lost, replica.log...)
		if settledIDs(&lost) != settledIDs(&replica.status) {
			t.Fatalf("the log comes to\n%s", settledIDs(&lost))
		}
	})
}

func TestAReplicaLacksWhatItsPrimaryIsRotatedToAndNotWhatWaitsThere(t *testing.T) {
	key := func(m ...v1alpha1.KeyMaterial) *v1alpha1.KMSKey {
		k := &v1alpha1.KMSKey{Status: v1alpha1.KMSKeyStatus{KeyMaterials: m}}
		rankImports(&k.Status)
		return k
	}
	one, both := key(materialOf("a", 1, 1)), key(materialOf("a", 1, 1), materialOf("b", 2, 2))
	waits := key(materialOf("a", 1, 1), materialOf("b", 2, 2, waiting))
	for _, tt := range []struct {
		name             string
		replica, primary *v1alpha1.KMSKey
		lacks, ahead     bool
	}{
		{"both have one", one, one, false, false},
		{"the primary was rotated", one, both, true, false},
		{"to what waits here", waits, both, true, false},
		{"something waits there", one, waits, false, false},
		{"something waits here alone", waits, one, false, false},
		{"the replica was rotated", both, one, true, true},
		{"to what waits there", both, waits, true, true},
	} {
		if lacks, ahead := Lacks(tt.replica, tt.primary), Ahead(tt.replica, tt.primary); lacks != tt.lacks || ahead != tt.ahead {
			t.Errorf("%s: lacks %t, ahead %t", tt.name, lacks, ahead)
		}
	}
}

func TestTheIDOfAMultiRegionKeysMaterialDependsOnNoRegion(t *testing.T) {
	for _, tt := range []struct{ arn, multi, want string }{
		{"arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab", "yes", "arn:aws:kms::111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"},
		{"arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab", "yes", "arn:aws:kms::111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"},
		{"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "", "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
	} {
		id := tt.arn[strings.LastIndex(tt.arn, "/")+1:]
		k := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Name: "k"}, Spec: v1alpha1.KMSKeySpec{MultiRegion: tt.multi != ""}, Status: v1alpha1.KMSKeyStatus{ARN: tt.arn, KeyID: id}}
		if got := identifiedBy(k); got != tt.want {
			t.Errorf("%s: %s", tt.arn, got)
		}
	}
}
