package iam

import (
	"reflect"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestATagOfAPrincipalHasTheValueOfEachKeyThatDiffersInCaseAlone(t *testing.T) {
	own := []v1alpha1.Tag{{Key: "Team", Value: "shop"}, {Key: "Größe", Value: "s"}, {Key: "GRÖßE", Value: "m"}, {Key: "empty"}}
	if got, want := tagMap(own), (map[string][]string{"team": {"shop"}, "größe": {"s", "m"}, "empty": {""}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := tagMap(nil); len(got) != 0 {
		t.Errorf("none are %v", got)
	}
}

func TestATagOfASessionIsInThePlaceOfAllThatItsPrincipalHasOfTheKey(t *testing.T) {
	own := []v1alpha1.Tag{{Key: "Team", Value: "shop"}, {Key: "Größe", Value: "s"}, {Key: "GRÖßE", Value: "m"}}
	got := principalTags(own, map[string]string{"grÖße": "l", "New": "1"})
	if want := (map[string][]string{"team": {"shop"}, "größe": {"l"}, "new": {"1"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
