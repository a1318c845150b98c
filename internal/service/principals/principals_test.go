package principals_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/principals"
)

const (
	ada = "arn:aws:iam::111122223333:user/ada"
	app = "arn:aws:iam::111122223333:role/team/app"
)

func binding(digest string, pairs ...string) *v1alpha1.PolicyBinding {
	b := &v1alpha1.PolicyBinding{PolicyDigest: digest}
	for i := 0; i < len(pairs); i += 2 {
		b.Principals = append(b.Principals, v1alpha1.BoundPrincipal{ARN: pairs[i], UniqueID: pairs[i+1]})
	}
	return b
}

func TestAnARNMeansWhoeverHadItFirstSinceThePolicyIsAsItIs(t *testing.T) {
	type ids = map[string]string
	for name, tt := range map[string]struct {
		before   *v1alpha1.PolicyBinding
		named    []string
		now      ids
		want     *v1alpha1.PolicyBinding
		replaced []string
	}{
		"a policy that names nobody":              {nil, nil, nil, nil, nil},
		"one that named somebody and names none":  {binding("d", ada, "1"), nil, ids{ada: "1"}, nil, nil},
		"who is there is bound":                   {nil, []string{ada}, ids{ada: "1"}, binding("d", ada, "1"), nil},
		"who is not there yet is not":             {nil, []string{ada, app}, ids{app: "2"}, binding("d", app, "2"), nil},
		"and is when they come":                   {binding("d", app, "2"), []string{ada, app}, ids{ada: "1", app: "2"}, binding("d", ada, "1", app, "2"), nil},
		"who went stays bound":                    {binding("d", ada, "1"), []string{ada}, nil, binding("d", ada, "1"), nil},
		"who came back is another":                {binding("d", ada, "1"), []string{ada}, ids{ada: "9"}, binding("d", ada, "1"), []string{ada}},
		"another policy is bound anew":            {binding("e", ada, "1"), []string{ada}, ids{ada: "9"}, binding("d", ada, "9"), nil},
		"another policy, whose principal is gone": {binding("e", ada, "1"), []string{ada}, nil, binding("d"), nil},
		"a status that was lost":                  {nil, []string{ada}, ids{ada: "9"}, binding("d", ada, "9"), nil},
	} {
		got, replaced := principals.Bind(tt.before, "d", tt.named, tt.now)
		if !reflect.DeepEqual(got, tt.want) || !reflect.DeepEqual(replaced, tt.replaced) {
			t.Errorf("%s: %+v, replaced %v", name, got, replaced)
		}
		// A second pass changes nothing.
		if again, _ := principals.Bind(got, "d", tt.named, tt.now); !reflect.DeepEqual(again, got) {
			t.Errorf("%s: a second pass has %+v", name, again)
		}
	}
}

func TestADigestIsOfOnePolicyOfOneObjectAsItWasSaved(t *testing.T) {
	of := func(uid, saved, document string) string {
		key := &v1alpha1.KMSKey{}
		key.UID = types.UID(uid)
		if saved != "" {
			principals.Save(key, saved)
		}
		return principals.Digest(key, []byte(document))
	}
	seen := map[string]bool{}
	for _, d := range []string{
		of("a", "", "{}"), of("b", "", "{}"), of("a", "", "{ }"), of("a", "1", "{}"), of("a", "2", "{}"), of("b", "1", "{}"),
		of("a", "1\n{", "}"), of("a\n\"1\"", "", "{}x"),
	} {
		if seen[d] || len(d) != 32 {
			t.Errorf("%s", d)
		}
		seen[d] = true
	}
	if !seen[of("a", "", "{}")] || !seen[of("a", "2", "{}")] {
		t.Error("it is not the same twice")
	}
	// Those of objects that were never saved by the API are what they have always been.
	sum := sha256.Sum256([]byte("a\n{}"))
	if want := hex.EncodeToString(sum[:16]); of("a", "", "{}") != want {
		t.Errorf("%s, and it was %s", of("a", "", "{}"), want)
	}
}

// TestWhoeverNamesAPrincipalIsFoundByIt: a role by its ARN, and by those of its sessions, which lack its path.
func TestWhoeverNamesAPrincipalIsFoundByIt(t *testing.T) {
	trusting := func(arn string) client.Object {
		raw := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}}`, arn)
		return &v1alpha1.IAMRole{Spec: v1alpha1.IAMRoleSpec{AssumeRolePolicy: &v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{Raw: []byte(raw)}}}}
	}
	role := &v1alpha1.IAMRole{}
	role.Status.ARN = app
	user := &v1alpha1.IAMUser{}
	user.Status.ARN = ada
	for arn, who := range map[string]client.Object{
		ada: user, app: role, "arn:aws:sts::111122223333:assumed-role/app/pod": role, "arn:aws:sts::111122223333:assumed-role/APP/pod": role,
	} {
		if got := principals.IndexValues(trusting(arn)); !reflect.DeepEqual(got, []string{principals.Asking(who)}) {
			t.Errorf("%s: %q, and asked for is %q", arn, got, principals.Asking(who))
		}
	}
	key := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{Policy: &v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{
		Raw: []byte(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"` + ada + `"}}}`)}}}}
	if got := principals.IndexValues(key); len(got) != 1 || got[0] != principals.Asking(user) {
		t.Errorf("a key: %q", got)
	}
	for _, obj := range []client.Object{&v1alpha1.IAMRole{}, &v1alpha1.KMSKey{}, &v1alpha1.IAMUser{}, trusting("111122223333"), trusting("no ARN")} {
		if got := principals.IndexValues(obj); len(got) > 0 {
			t.Errorf("%T: %q", obj, got)
		}
	}
	if principals.Asking(&v1alpha1.IAMUser{}) != "" {
		t.Error("a user without an ARN is asked for")
	}
}

func TestAGrantBindsUsersAndRolesAndNoAccounts(t *testing.T) {
	g := &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Spec: v1alpha1.KMSGrantSpec{GranteePrincipal: app, RetiringPrincipal: ada}}
	if got := principals.OfGrant(g); !reflect.DeepEqual(got, []string{app, ada}) {
		t.Errorf("%v", got)
	}
	if got := principals.IndexValues(g); !reflect.DeepEqual(got, []string{"role/111122223333/app", "user/111122223333/ada"}) {
		t.Errorf("%v", got)
	}
	g.Status.Binding = binding(principals.GrantDigest(g), app, "AROAAPP")
	if got := principals.BoundOfGrant(g, app) + principals.BoundOfGrant(g, ada); got != "AROAAPP" {
		t.Error(got)
	}
	again := g.DeepCopy()
	again.UID = "v"
	if got := principals.BoundOfGrant(again, app); got != "" {
		t.Errorf("a grant that is made again is bound to %s", got)
	}
	g.Spec = v1alpha1.KMSGrantSpec{GranteePrincipal: "arn:aws:iam::111122223333:root"}
	if got := principals.OfGrant(g); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
