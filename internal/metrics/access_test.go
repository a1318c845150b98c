package metrics_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"strongroom.dev/strongroom/internal/metrics"
)

// The real API server answers in test/manager; here it is what a filter must do with its answers, and how often it asks.

// reviewer answers reviews by what a test says, and counts them.
type reviewer struct {
	tokens, rights atomic.Int32
	fails          atomic.Bool
	asked          atomic.Pointer[authorizationv1.SubjectAccessReviewSpec]
}

func (v *reviewer) access(now func() time.Time) *metrics.Access {
	client := fake.NewClientset()
	client.PrependReactor("create", "tokenreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		v.tokens.Add(1)
		if v.fails.Load() {
			return true, nil, errors.New("the API server is away")
		}
		review := action.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenReview)
		out := review.DeepCopy()
		if strings.HasPrefix(review.Spec.Token, "good") {
			out.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{
				Username: "scraper", UID: "u", Groups: []string{"g"}, Extra: map[string]authenticationv1.ExtraValue{"k": {"v"}},
			}}
		}
		return true, out, nil
	})
	client.PrependReactor("create", "subjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		v.rights.Add(1)
		review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
		v.asked.Store(review.Spec.DeepCopy())
		review.Status.Allowed = review.Spec.NonResourceAttributes.Path == "/metrics"
		return true, review, nil
	})
	return metrics.NewAccess(client.AuthenticationV1().TokenReviews(), client.AuthorizationV1().SubjectAccessReviews(), now)
}

func ask(a *metrics.Access, method, path, authorization string) int {
	served := false
	handler := a.Filter(logr.Discard(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))
	r := httptest.NewRequest(method, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if served != (w.Code == http.StatusOK) {
		return -1
	}
	return w.Code
}

func TestWhoMayReadMetrics(t *testing.T) {
	for name, c := range map[string]struct {
		path, authorization string
		code                int
		reviews             int32
	}{
		"who brings nothing":         {"/metrics", "", http.StatusUnauthorized, 0},
		"who brings a password":      {"/metrics", "Basic Z29vZDpnb29k", http.StatusUnauthorized, 0},
		"who brings an empty token":  {"/metrics", "Bearer  ", http.StatusUnauthorized, 0},
		"who brings an endless one":  {"/metrics", "Bearer good" + strings.Repeat("x", 1<<14), http.StatusUnauthorized, 0},
		"who brings a strange token": {"/metrics", "Bearer strange", http.StatusUnauthorized, 1},
		"who may":                    {"/metrics", "Bearer good", http.StatusOK, 1},
		"who may, but elsewhere":     {"/debug", "Bearer good", http.StatusForbidden, 1},
	} {
		t.Run(name, func(t *testing.T) {
			v := &reviewer{}
			if code := ask(v.access(time.Now), http.MethodGet, c.path, c.authorization); code != c.code || v.tokens.Load() != c.reviews {
				t.Errorf("%d after %d reviews", code, v.tokens.Load())
			}
		})
	}
}

func TestTheRightIsAskedForWithAllThatIsKnownOfTheUser(t *testing.T) {
	v := &reviewer{}
	ask(v.access(time.Now), http.MethodHead, "/metrics", "Bearer good")
	spec := v.asked.Load()
	if spec.User != "scraper" || spec.UID != "u" || spec.Groups[0] != "g" || spec.Extra["k"][0] != "v" ||
		spec.NonResourceAttributes.Verb != "head" || spec.NonResourceAttributes.Path != "/metrics" {
		t.Errorf("%+v", spec)
	}
}

func TestAVerdictHoldsForThirtySecondsAndForItsTokenPathAndVerbAlone(t *testing.T) {
	v, now := &reviewer{}, time.Now()
	a := v.access(func() time.Time { return now })
	reviews := func(method, path, token string) int32 {
		before := v.tokens.Load()
		ask(a, method, path, "Bearer "+token)
		return v.tokens.Load() - before
	}
	for i, c := range []struct {
		method, path, token string
		reviews             int32
	}{
		{"GET", "/metrics", "good", 1}, {"GET", "/metrics", "good", 0}, {"GET", "/metrics", "good2", 1}, {"HEAD", "/metrics", "good", 1},
		{"GET", "/debug", "good", 1}, {"GET", "/debug", "good", 0}, {"GET", "/metrics", "bad", 1}, {"GET", "/metrics", "bad", 0},
	} {
		if got := reviews(c.method, c.path, c.token); got != c.reviews {
			t.Errorf("%d: %d reviews, not %d", i, got, c.reviews)
		}
	}
	now = now.Add(29 * time.Second)
	if reviews("GET", "/metrics", "good") != 0 {
		t.Error("it was forgotten after 29 s")
	}
	now = now.Add(time.Second)
	if reviews("GET", "/metrics", "good") != 1 {
		t.Error("it holds for more than 30 s")
	}
}

func TestNoAnswerIsNoVerdict(t *testing.T) {
	v := &reviewer{}
	a := v.access(time.Now)
	v.fails.Store(true)
	if code := ask(a, http.MethodGet, "/metrics", "Bearer good"); code != http.StatusServiceUnavailable {
		t.Errorf("%d while the API server is away", code)
	}
	v.fails.Store(false)
	if code := ask(a, http.MethodGet, "/metrics", "Bearer good"); code != http.StatusOK {
		t.Errorf("%d when it is back", code)
	}
}

func TestManyTokensDoNotGrowTheMemoryOfVerdicts(t *testing.T) {
	v := &reviewer{}
	a := v.access(time.Now)
	for range 3 {
		for i := range 300 {
			ask(a, http.MethodGet, "/metrics", "Bearer bad"+strings.Repeat("x", i))
		}
	}
	if n := v.tokens.Load(); n < 600 { // with all 900 remembered, 300 reviews would do
		t.Errorf("%d reviews of 900 requests: more is remembered than 256", n)
	}
}
