package kms

import (
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestATokenThatBroughtMaterialWhichIsGoneIsSpent(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	digest := func(c string) string { return strings.Repeat(c, 32) }
	asked := ImportRequest{Whole: digest("a"), Source: digest("1")}
	edited, other := ImportRequest{digest("b"), digest("1")}, ImportRequest{digest("c"), digest("2")}
	there := func(request string) v1alpha1.KeyMaterial {
		return v1alpha1.KeyMaterial{ID: request, Import: &v1alpha1.KeyMaterialImport{State: v1alpha1.ImportStateImported, Request: request}}
	}
	gone := func(request string) v1alpha1.KeyMaterial {
		m := there(request)
		m.Import.State = v1alpha1.ImportStatePendingImport
		return m
	}
	expired := there(asked.String())
	expired.Import.ValidTo = &metav1.Time{Time: now}
	of := func(m ...v1alpha1.KeyMaterial) []v1alpha1.KeyMaterial { return m }
	for _, tt := range []struct {
		name           string
		request        ImportRequest
		last           string
		materials      []v1alpha1.KeyMaterial
		dropped        []string
		handled, spent bool
	}{
		{name: "a key that has had nothing takes it", request: asked},
		{name: "what is there by it is not imported again", request: asked, materials: of(there(asked.String())), handled: true},
		{name: "what is there by its token may be said anew", request: edited, last: asked.String(), materials: of(there(asked.String()))},
		{name: "what it brought and is gone stays gone", request: asked, materials: of(gone(asked.String())), handled: true, spent: true},
		{name: "also when it is edited", request: edited, materials: of(gone(asked.String())), handled: true, spent: true},
		{name: "and when it has expired", request: edited, materials: of(expired), handled: true, spent: true},
		{name: "and when it is in no index, since it waited to be rotated to", request: edited, last: asked.String(), handled: true, spent: true},
		{name: "and after others that were imported and taken away since", request: asked, last: other.String(), dropped: []string{asked.Source, other.Source}, handled: true, spent: true},
		{name: "also when it is edited", request: edited, last: other.String(), dropped: []string{asked.Source}, handled: true, spent: true},
		{name: "and by a digest of the whole alone", request: asked, last: other.String(), dropped: []string{asked.Whole}, handled: true, spent: true},
		{name: "what others brought was that of others", request: asked, dropped: []string{other.Source}},
		{name: "whatever else the key has", request: edited, last: asked.String(), materials: of(there(other.String()), there("")), handled: true, spent: true},
		{name: "another token brings back what is gone", request: other, last: asked.String(), materials: of(gone(asked.String()))},
		{name: "another token after one that did", request: edited, last: other.String(), materials: of(there(other.String()))},
		{name: "a digest of the whole alone is known", request: asked, last: asked.Whole, materials: of(there(asked.Whole)), handled: true},
		{name: "and is not brought back as it was", request: asked, last: asked.Whole, materials: of(gone(asked.Whole)), handled: true, spent: true},
		{name: "what it is of may be said anew", request: edited, last: asked.String(), materials: of(there(asked.Whole))},
		{name: "what the API imported was brought by no manifest", request: asked, materials: of(there(""), gone(""))},
	} {
		status := &v1alpha1.KMSKeyStatus{LastHandledImport: tt.last, KeyMaterials: tt.materials}
		for _, d := range tt.dropped {
			status.DroppedImports = append(status.DroppedImports, v1alpha1.DroppedImport{Request: d, Time: metav1.Time{Time: now}})
		}
		if handled, spent := Handled(status, tt.request, now); handled != tt.handled || spent != tt.spent {
			t.Errorf("%s: handled %t, spent %t", tt.name, handled, spent)
		}
	}
}

func TestWhatWasTakenAwayIsKnownForAsLongAsItsToken(t *testing.T) {
	start := metav1.Time{Time: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	at := func(after time.Duration) metav1.Time { return metav1.Time{Time: start.Add(after)} }
	request := func(c string) string { return strings.Repeat("w", digestLength) + strings.Repeat(c, digestLength) }
	status := &v1alpha1.KMSKeyStatus{}
	sequence := int64(0)
	take := func(state v1alpha1.ImportState, of string, when metav1.Time) {
		sequence++
		TakeImports(status, v1alpha1.KeyMaterial{ID: of, Sequence: sequence, CreatedTime: when, Import: &v1alpha1.KeyMaterialImport{
			State: state, Rank: 2, PendingRotation: true, Request: request(of),
		}})
	}
	known := func() (of string) {
		for _, d := range status.DroppedImports {
			of += d.Request[:1]
		}
		return of
	}
	take(v1alpha1.ImportStateImported, "a", start)
	if known() != "" {
		t.Fatal("what waits was not taken away")
	}
	take(v1alpha1.ImportStatePendingImport, "a", start)
	take(v1alpha1.ImportStateImported, "b", at(time.Hour))
	take(v1alpha1.ImportStateImported, "c", at(2*time.Hour)) // whose writer knew that the one before it was taken away
	take(v1alpha1.ImportStatePendingImport, "c", at(24*time.Hour))
	if known() != "abc" {
		t.Errorf("%s are known", known())
	}
	RebuildImports(status)
	if known() != "abc" {
		t.Errorf("%s are known when the index was made anew", known())
	}
	take(v1alpha1.ImportStatePendingImport, "d", at(24*time.Hour+time.Second))
	if known() != "bcd" {
		t.Errorf("%s are known when a token of the first has ended", known())
	}
	noteDropped(status, "", at(25*time.Hour))
	noteDropped(status, request("b"), at(25*time.Hour))
	noteDropped(status, strings.Repeat("o", digestLength), at(25*time.Hour))
	if known() != "cdbo" {
		t.Errorf("%s are known", known())
	}
	for i := range 2 * maximumDropped {
		noteDropped(status, request(string(rune('0'+i%10)))+strconv.Itoa(i), at(25*time.Hour))
	}
	if len(status.DroppedImports) != maximumDropped {
		t.Errorf("%d are kept", len(status.DroppedImports))
	}
}
