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

var importTime = time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)

// materialOf is an imported material as an index has it.
func materialOf(id string, sequence, rank int64, changes ...func(*v1alpha1.KeyMaterial)) v1alpha1.KeyMaterial {
	m := v1alpha1.KeyMaterial{
		ID: id, Sequence: sequence, State: v1alpha1.KeyMaterialCurrent, Import: &v1alpha1.KeyMaterialImport{State: v1alpha1.ImportStateImported, Rank: rank},
	}
	for _, change := range changes {
		change(&m)
	}
	return m
}

func waiting(m *v1alpha1.KeyMaterial) {
	m.State, m.Import.PendingRotation = v1alpha1.KeyMaterialPendingRotation, true
}
func former(m *v1alpha1.KeyMaterial) { m.State = v1alpha1.KeyMaterialNonCurrent }
func absent(m *v1alpha1.KeyMaterial) { m.Import.State = v1alpha1.ImportStatePendingImport }
func rotated(m *v1alpha1.KeyMaterial) {
	m.RotationType = v1alpha1.RotationOnDemand
}
func requestedBy(digest string) func(*v1alpha1.KeyMaterial) {
	return func(m *v1alpha1.KeyMaterial) { m.Import.Request = digest }
}
func ending(after time.Duration) func(*v1alpha1.KeyMaterial) {
	return func(m *v1alpha1.KeyMaterial) { m.Import.ValidTo = at(after) }
}
func at(after time.Duration) *metav1.Time {
	t := metav1.NewTime(importTime.Add(after)).Rfc3339Copy()
	return &t
}

func TestAnImportIsDecidedByWhatTheKeyHadBefore(t *testing.T) {
	const fresh, existing = v1alpha1.ImportTypeNew, v1alpha1.ImportTypeExisting
	one, two := materialOf("one", 1, 1), materialOf("two", 2, 2, waiting)
	for name, tt := range map[string]struct {
		had     []v1alpha1.KeyMaterial
		single  bool // the key does not rotate
		id      string
		asked   Import
		want    string // rank and whether it waits for a rotation; "" for nothing to do
		refused error
	}{
		"the first material":                             {id: "one", want: "1 false"},
		"the first, said to be new":                      {id: "one", asked: Import{Type: fresh}, want: "1 false"},
		"the first, said to be known":                    {id: "one", asked: Import{Type: existing}, refused: ErrIncorrectMaterial},
		"the first, with another's id":                   {id: "one", asked: Import{MaterialID: "two"}, refused: ErrIncorrectMaterial},
		"the first of a key that does not rotate":        {single: true, id: "one", want: "1 false"},
		"the same again":                                 {had: []v1alpha1.KeyMaterial{one}, id: "one"},
		"the same again, said to be known":               {had: []v1alpha1.KeyMaterial{one}, id: "one", asked: Import{Type: existing}},
		"the same again, said to be new":                 {had: []v1alpha1.KeyMaterial{one}, id: "one", asked: Import{Type: fresh}, refused: ErrIncorrectMaterial},
		"the same again, with its id":                    {had: []v1alpha1.KeyMaterial{one}, id: "one", asked: Import{MaterialID: "one"}},
		"the same again, with another's id":              {had: []v1alpha1.KeyMaterial{one}, id: "one", asked: Import{MaterialID: "two"}, refused: ErrIncorrectMaterial},
		"the same that was deleted":                      {had: []v1alpha1.KeyMaterial{materialOf("one", 4, 1, absent)}, id: "one", want: "1 false"},
		"the same that has expired":                      {had: []v1alpha1.KeyMaterial{materialOf("one", 4, 1, ending(0))}, id: "one", want: "1 false"},
		"the same with an end":                           {had: []v1alpha1.KeyMaterial{one}, id: "one", asked: Import{ValidTo: &at(time.Hour).Time}, want: "1 false"},
		"the same with the same end":                     {had: []v1alpha1.KeyMaterial{materialOf("one", 1, 1, ending(time.Hour))}, id: "one", asked: Import{ValidTo: &at(time.Hour).Time}},
		"the same without its end":                       {had: []v1alpha1.KeyMaterial{materialOf("one", 1, 1, ending(time.Hour))}, id: "one", want: "1 false"},
		"the same with a description":                    {had: []v1alpha1.KeyMaterial{one}, id: "one", asked: Import{Description: new("d")}, want: "1 false"},
		"other material":                                 {had: []v1alpha1.KeyMaterial{one}, id: "two", refused: ErrIncorrectMaterial},
		"other material, after the first was deleted":    {had: []v1alpha1.KeyMaterial{materialOf("one", 4, 1, absent)}, id: "two", refused: ErrIncorrectMaterial},
		"other material of a key that does not rotate":   {had: []v1alpha1.KeyMaterial{one}, single: true, id: "two", refused: ErrIncorrectMaterial},
		"new material":                                   {had: []v1alpha1.KeyMaterial{one}, id: "two", asked: Import{Type: fresh}, want: "2 true"},
		"new material while the first is gone":           {had: []v1alpha1.KeyMaterial{materialOf("one", 4, 1, absent)}, id: "two", asked: Import{Type: fresh}, want: "2 true"},
		"new material while another waits":               {had: []v1alpha1.KeyMaterial{one, two}, id: "three", asked: Import{Type: fresh}, refused: ErrRotationPending},
		"material that waits, again":                     {had: []v1alpha1.KeyMaterial{one, two}, id: "two"},
		"material that waits, with an end":               {had: []v1alpha1.KeyMaterial{one, two}, id: "two", asked: Import{ValidTo: &at(time.Hour).Time}, want: "2 true"},
		"material that waits, said to be new":            {had: []v1alpha1.KeyMaterial{one, two}, id: "two", asked: Import{Type: fresh}, refused: ErrIncorrectMaterial},
		"new material with an id":                        {had: []v1alpha1.KeyMaterial{one}, id: "two", asked: Import{Type: fresh, MaterialID: "two"}, refused: ErrImportParameters},
		"a type for a key that does not rotate":          {single: true, id: "one", asked: Import{Type: fresh}, refused: ErrSymmetricOnly},
		"an id for a key that does not rotate":           {single: true, id: "one", asked: Import{MaterialID: "one"}, refused: ErrSymmetricOnly},
		"a description for a key that does not rotate":   {single: true, id: "one", asked: Import{Description: new("d")}, refused: ErrSymmetricOnly},
		"an end that is now":                             {id: "one", asked: Import{ValidTo: &at(0).Time}, refused: ErrImportParameters},
		"an end that is now, but for a part of a second": {id: "one", asked: Import{ValidTo: new(importTime.Add(time.Second - 1))}, refused: ErrImportParameters},
		"an end in a year":                               {id: "one", asked: Import{ValidTo: new(importTime.Add(MaximumImportValidity))}, want: "1 false"},
		"an end in more than a year":                     {id: "one", asked: Import{ValidTo: new(importTime.Add(MaximumImportValidity + 1))}, refused: ErrImportParameters},
		"the same by a manifest that did not import it":  {had: []v1alpha1.KeyMaterial{one}, id: "one", asked: Import{Request: "r"}, want: "1 false"},
		"the same by the manifest that imported it":      {had: []v1alpha1.KeyMaterial{materialOf("one", 1, 1, requestedBy("r"))}, id: "one", asked: Import{Request: "r"}},
		"the same by the API after a manifest's import":  {had: []v1alpha1.KeyMaterial{materialOf("one", 1, 1, requestedBy("r"))}, id: "one"},
		"the first when it was rotated from":             {had: []v1alpha1.KeyMaterial{materialOf("one", 4, 1, absent, former), materialOf("two", 3, 2, rotated)}, id: "one", want: "1 false"},
		"the third":                                      {had: []v1alpha1.KeyMaterial{materialOf("one", 9, 1, former), materialOf("two", 3, 2, rotated)}, id: "three", asked: Import{Type: fresh}, want: "3 true"},
	} {
		t.Run(name, func(t *testing.T) {
			before := fmt.Sprint(tt.had)
			record, err := decideImport(&importInput{Import: tt.asked, materials: tt.had, rotates: !tt.single, id: tt.id, now: importTime})
			if !errors.Is(err, tt.refused) || (err != nil) != (tt.refused != nil) {
				t.Fatalf("refused with %v, want %v", err, tt.refused)
			}
			got := ""
			if record != nil {
				got = fmt.Sprint(record.Import.Rank, " ", record.Import.PendingRotation)
				if record.ID != tt.id || record.Import.State != v1alpha1.ImportStateImported {
					t.Errorf("it is recorded as %s, %s", record.ID, record.Import.State)
				}
				if tt.asked.ValidTo == nil != (record.Import.ValidTo == nil) || tt.asked.ValidTo != nil && record.Import.ValidTo.After(*tt.asked.ValidTo) {
					t.Errorf("it ends at %s and should at %s", record.Import.ValidTo, tt.asked.ValidTo)
				}
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if after := fmt.Sprint(tt.had); after != before {
				t.Error("the index was changed")
			}
		})
	}
}

func TestADeletionIsOfTheMaterialThatIsNamedOrOfTheCurrentOne(t *testing.T) {
	all := []v1alpha1.KeyMaterial{materialOf("one", 5, 1, former, ending(time.Hour)), materialOf("two", 3, 2), materialOf("three", 4, 3, waiting)}
	for id, want := range map[string]string{"": "two", "one": "one", "two": "two", "three": "three"} {
		record, deleted, err := decideDelete(all, id)
		if err != nil || deleted != want || record == nil || record.ID != want || record.Import.State != v1alpha1.ImportStatePendingImport || record.Import.ValidTo != nil {
			t.Errorf("%q: %v, %s, %v", id, record, deleted, err)
		}
	}
	if _, _, err := decideDelete(all, "four"); !errors.Is(err, ErrMaterialNotFound) {
		t.Error(err)
	}
	if record, deleted, err := decideDelete(nil, ""); record != nil || deleted != "" || err != nil {
		t.Errorf("of a key without material: %v, %s, %v", record, deleted, err)
	}
	if record, deleted, err := decideDelete([]v1alpha1.KeyMaterial{materialOf("one", 2, 1, absent)}, ""); record != nil || deleted != "one" || err != nil {
		t.Errorf("of what is deleted: %v, %s, %v", record, deleted, err)
	}
}

func TestWhatHasExpiredIsRecordedOnce(t *testing.T) {
	all := []v1alpha1.KeyMaterial{
		materialOf("ends now", 1, 1, former, ending(0)), materialOf("ended", 2, 2, former, ending(-time.Hour)), materialOf("ends later", 3, 3, former, ending(time.Second)),
		materialOf("never ends", 4, 4, former), materialOf("is recorded", 5, 5, absent), materialOf("waits and ended", 6, 6, waiting, ending(-1)),
	}
	var got []string
	for _, record := range decideExpiry(all, importTime) {
		got = append(got, record.ID)
	}
	if !slices.Equal(got, []string{"ends now", "ended", "waits and ended"}) {
		t.Error(got)
	}
}

func TestARotationIsToWhatWaitsForItAndIsThere(t *testing.T) {
	record, err := decidePromotion([]v1alpha1.KeyMaterial{materialOf("one", 1, 1), materialOf("two", 2, 2, waiting)}, importTime)
	if err != nil || record.ID != "two" || record.Import.PendingRotation || record.RotationType != v1alpha1.RotationOnDemand || !record.Import.RotationTime.Equal(at(0)) {
		t.Errorf("%v, %v", record, err)
	}
	for name, all := range map[string][]v1alpha1.KeyMaterial{
		"no material": nil, "one material": {materialOf("one", 1, 1)}, "what has expired": {materialOf("one", 1, 1), materialOf("two", 2, 2, waiting, ending(0))},
	} {
		if _, err := decidePromotion(all, importTime); !errors.Is(err, ErrNothingPending) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKeyWaitsForWhatItNeedsAndForNothingElse(t *testing.T) {
	for name, tt := range map[string]struct {
		had  []v1alpha1.KeyMaterial
		want bool
	}{
		"it never had any":               {nil, true},
		"it has its one":                 {[]v1alpha1.KeyMaterial{materialOf("one", 1, 1)}, false},
		"its one ends later":             {[]v1alpha1.KeyMaterial{materialOf("one", 1, 1, ending(time.Second))}, false},
		"its one ends now":               {[]v1alpha1.KeyMaterial{materialOf("one", 1, 1, ending(0))}, true},
		"its one is deleted":             {[]v1alpha1.KeyMaterial{materialOf("one", 1, 1, absent)}, true},
		"a former one is deleted":        {[]v1alpha1.KeyMaterial{materialOf("one", 3, 1, absent, former), materialOf("two", 2, 2)}, true},
		"what waits is there alone":      {[]v1alpha1.KeyMaterial{materialOf("two", 2, 2, waiting)}, true},
		"what waits ends":                {[]v1alpha1.KeyMaterial{materialOf("one", 1, 1), materialOf("two", 2, 2, waiting, ending(-1))}, false},
		"somebody wrote into its status": {[]v1alpha1.KeyMaterial{{ID: "one", Sequence: 1, State: v1alpha1.KeyMaterialCurrent}}, true},
	} {
		key := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{Origin: v1alpha1.KeyOriginExternal}, Status: v1alpha1.KMSKeyStatus{KeyID: "k", KeyMaterials: tt.had}}
		if got := AwaitsImport(key, importTime); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
		if key.Spec.Origin = ""; AwaitsImport(key, importTime) {
			t.Errorf("%s, and its origin is another: it waits", name)
		}
	}
}

// A log is what replicas, controllers and crashes leave of imports, deletions, expiries and rotations: the index that is made of all of it is the one that each
// change was made to, whatever was erased meanwhile by the rules of erasing, and however often it is made.
func TestTheIndexIsWhatTheLogComesToWhateverWasErased(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		index := v1alpha1.KMSKeyStatus{ARN: "arn"}
		var log, erased []v1alpha1.Envelope
		now := importTime
		for range rapid.IntRange(1, 25).Draw(t, "changes") {
			now = now.Add(time.Hour)
			record := change(t, &index, now)
			if record == nil {
				continue
			}
			e := v1alpha1.Envelope{Spec: v1alpha1.EnvelopeSpec{
				Class: v1alpha1.EnvelopeKeyMaterial, Subject: "arn", Version: record.ID, Sequence: index.LastImportSequence + 1, Import: record.Import.DeepCopy(),
			}}
			if record.RotationType != "" {
				e.Spec.Stages = []string{string(record.RotationType)}
			}
			log = append(log, e)
			if rapid.Bool().Draw(t, "a crash, and others go on") { // nothing is decided before it is taken in
				missing, _ := UnnamedImports(log, &index)
				if len(missing) != 1 || missing[0].Spec.Sequence != e.Spec.Sequence {
					t.Fatalf("%d are missing", len(missing))
				}
				RebuildImports(&index, MaterialOf(missing[0]))
			} else {
				TakeImports(&index, MaterialOf(&e))
			}
			_, stale := UnnamedImports(log, &index)
			gone := map[int64]bool{}
			for _, s := range stale[:rapid.IntRange(0, len(stale)).Draw(t, "erased")] { // the oldest first, as far as it gets
				gone[s.Spec.Sequence] = true
				erased = append(erased, *s)
			}
			log = slices.DeleteFunc(slices.Clone(log), func(e v1alpha1.Envelope) bool { return gone[e.Spec.Sequence] })
			check(t, index, log)
			if missing, _ := UnnamedImports(slices.Concat(log, erased), &index); len(missing) != 0 {
				t.Fatalf("a backup brings back what was erased: the material %s of sequence %d", missing[0].Spec.Version, missing[0].Spec.Sequence)
			}
		}
	})
}

func TestOfTwoMaterialsThatWaitTheLaterOneDoes(t *testing.T) { // as when the status is lost, and a backup brings back what was deleted
	var status v1alpha1.KMSKeyStatus
	RebuildImports(&status, materialOf("three", 4, 2, waiting), materialOf("one", 1, 1), materialOf("two", 2, 2, waiting))
	if len(status.KeyMaterials) != 2 || status.KeyMaterials[1].ID != "three" || status.LastDroppedImportSequence != 2 || status.LastImportSequence != 4 {
		t.Errorf("%+v", status)
	}
}

// change is one of the changes that can be made to an index, nil if there is none of the kind that was drawn.
func change(t *rapid.T, index *v1alpha1.KMSKeyStatus, now time.Time) *v1alpha1.KeyMaterial {
	id := fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "material"))
	var record *v1alpha1.KeyMaterial
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0, 1:
		in := &importInput{materials: importsOf(index), rotates: true, id: id, now: now}
		in.Type = rapid.SampledFrom([]v1alpha1.ImportType{"", v1alpha1.ImportTypeNew}).Draw(t, "type")
		if rapid.Bool().Draw(t, "ends") {
			in.ValidTo = new(now.Add(3 * time.Hour))
		}
		record, _ = decideImport(in)
	case 2:
		record, _, _ = decideDelete(importsOf(index), id)
	case 3:
		if all := decideExpiry(importsOf(index), now); len(all) > 0 {
			record = all[0]
		}
	case 4:
		record, _ = decidePromotion(importsOf(index), now)
	}
	return record
}

func check(t *rapid.T, index v1alpha1.KMSKeyStatus, log []v1alpha1.Envelope) {
	lost := v1alpha1.KMSKeyStatus{ARN: "arn"}
	missing, _ := UnnamedImports(log, &lost)
	for _, e := range missing { // one at a time, as if each pass died
		RebuildImports(&lost, MaterialOf(e))
	}
	show := func(s *v1alpha1.KMSKeyStatus) string {
		var b strings.Builder
		for _, m := range s.KeyMaterials {
			fmt.Fprintf(&b, "%s@%d %s %s %d %t %v\n", m.ID, m.Sequence, m.State, m.Import.State, m.Import.Rank, m.Import.PendingRotation, m.Import.ValidTo)
		}
		return b.String() + fmt.Sprint(s.OnDemandRotations, s.ExpirationModel, s.ValidTo)
	}
	if show(&lost) != show(&index) {
		t.Fatalf("the log comes to\n%s\nand the index is\n%s", show(&lost), show(&index))
	}
	current := 0
	for _, m := range index.KeyMaterials {
		if m.State == v1alpha1.KeyMaterialCurrent {
			current++
		}
		if !slices.ContainsFunc(log, func(e v1alpha1.Envelope) bool { return e.Spec.Sequence == m.Sequence }) {
			t.Fatalf("the material %s of sequence %d is lost", m.ID, m.Sequence)
		}
	}
	if len(index.KeyMaterials) > 0 && current != 1 {
		t.Fatalf("%d are current", current)
	}
	if set := index.DeepCopy(); len(set.KeyMaterials) > 0 { // somebody, or a backup, takes an entry out of the status
		set.KeyMaterials = set.KeyMaterials[1:]
		missing, stale := UnnamedImports(log, set)
		for _, e := range stale {
			if e.Spec.Sequence == index.KeyMaterials[0].Sequence {
				t.Fatal("what was taken out of the index would be erased")
			}
		}
		var records []v1alpha1.KeyMaterial
		for _, e := range missing {
			records = append(records, MaterialOf(e))
		}
		if RebuildImports(set, records...); show(set) != show(&index) {
			t.Fatalf("mended to\n%s\nand not to\n%s", show(set), show(&index))
		}
	}
}
