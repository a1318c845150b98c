package metrics

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// verdictAge is how long a verdict on a token holds: a scraper asks every few seconds, and who lost the right to keeps it no
	// longer than this.
	verdictAge = 30 * time.Second
	// maximumVerdicts are kept; when there are more, all go.
	maximumVerdicts = 256
	// maximumToken is the length of a bearer token in bytes.
	maximumToken = 16 * 1024
	// concurrentReviews are asked of the API server at once: whoever can connect can have tokens reviewed.
	concurrentReviews = 4
	reviewTimeout     = 10 * time.Second
)

// Access asks the API server who may read metrics: the bearer token by a TokenReview, the right to the path by a
// SubjectAccessReview, as https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
// has it. It does what controller-runtime's filter does without the whole of k8s.io/apiserver, 25 modules and a fifth of the program.
type Access struct {
	// Tokens and Rights ask the API server.
	Tokens authenticationclient.TokenReviewInterface
	Rights authorizationclient.SubjectAccessReviewInterface
	// Now is the clock.
	Now func() time.Time

	reviews  chan struct{}
	mu       sync.Mutex
	verdicts map[[sha256.Size]byte]verdict
}

// verdict is a status code, good until a time.
type verdict struct {
	code  int
	until time.Time
}

// NewAccess makes an Access that asks by clients.
func NewAccess(tokens authenticationclient.TokenReviewInterface, rights authorizationclient.SubjectAccessReviewInterface, now func() time.Time) *Access {
	return &Access{
		Tokens: tokens, Rights: rights, Now: now,
		reviews: make(chan struct{}, concurrentReviews), verdicts: map[[sha256.Size]byte]verdict{},
	}
}

// WithAccess is the metrics server's filter.
func WithAccess(cfg *rest.Config, httpClient *http.Client) (metricsserver.Filter, error) {
	tokens, err := authenticationclient.NewForConfigAndClient(cfg, httpClient)
	if err != nil {
		return nil, fmt.Errorf("making the client of token reviews: %w", err)
	}
	rights, err := authorizationclient.NewForConfigAndClient(cfg, httpClient)
	if err != nil {
		return nil, fmt.Errorf("making the client of access reviews: %w", err)
	}
	a := NewAccess(tokens.TokenReviews(), rights.SubjectAccessReviews(), time.Now)
	return func(log logr.Logger, next http.Handler) (http.Handler, error) { return a.Filter(log, next), nil }, nil
}

// Filter lets requests through to next whose bearer may make them. Others get 401 or 403, and 503 while the API server gives no
// answer.
func (a *Access) Filter(log logr.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := a.check(r, log)
		if code != http.StatusOK {
			http.Error(w, http.StatusText(code), code)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Access) check(r *http.Request, log logr.Logger) int {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token = strings.TrimSpace(token); !ok || token == "" || len(token) > maximumToken {
		return http.StatusUnauthorized
	}
	verb := strings.ToLower(r.Method)
	id := sha256.Sum256([]byte(token + "\x00" + verb + "\x00" + r.URL.Path))
	if code, known := a.known(id); known {
		return code
	}
	ctx, cancel := context.WithTimeout(r.Context(), reviewTimeout)
	defer cancel()
	select {
	case a.reviews <- struct{}{}:
		defer func() { <-a.reviews }()
	case <-ctx.Done():
		return http.StatusServiceUnavailable
	}
	code, err := a.review(ctx, token, verb, r.URL.Path)
	if err != nil {
		log.Error(err, "asking who may read metrics")
		return http.StatusServiceUnavailable
	}
	a.remember(id, code)
	return code
}

func (a *Access) known(id [sha256.Size]byte) (code int, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.verdicts[id]
	return v.code, ok && a.Now().Before(v.until)
}

func (a *Access) remember(id [sha256.Size]byte, code int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.verdicts) >= maximumVerdicts {
		clear(a.verdicts)
	}
	a.verdicts[id] = verdict{code, a.Now().Add(verdictAge)}
}

func (a *Access) review(ctx context.Context, token, verb, path string) (code int, err error) {
	who, err := a.Tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("reviewing a token: %w", err)
	}
	if !who.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	user := who.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for k, v := range user.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	may, err := a.Rights.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, Groups: user.Groups, UID: user.UID, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
	}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("reviewing the rights of %s: %w", user.Username, err)
	}
	if !may.Status.Allowed {
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}
