package serving_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/serving"
	"strongroom.dev/strongroom/test/environment"
)

// faulty is a client of the real API server whose calls fail as it is told.
type faulty struct {
	client.Client
	get, create, apply func() error
}

func (f *faulty) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if f.get != nil {
		if err := f.get(); err != nil {
			return err
		}
	}
	return f.Client.Get(ctx, key, obj, opts...)
}

func (f *faulty) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if f.create != nil {
		if err := f.create(); err != nil {
			return err
		}
	}
	return f.Client.Create(ctx, obj, opts...)
}

func (f *faulty) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	if f.apply != nil {
		if err := f.apply(); err != nil {
			return err
		}
	}
	return f.Client.Apply(ctx, obj, opts...)
}

var errDown = errors.New("the API server is down")

func certificate(c client.Client, namespace string) *serving.Certificate {
	return &serving.Certificate{Client: c, Namespace: namespace, Names: []string{"gateway.test", "127.0.0.1"}, Now: time.Now, Log: logr.Discard()}
}

func leaf(t *testing.T, c *serving.Certificate) *x509.Certificate {
	t.Helper()
	got, err := c.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return got.Leaf
}

func TestACertificateComesThroughFaults(t *testing.T) {
	cp, err := environment.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cp.Stop() }()
	namespace := func(t *testing.T, name string) string {
		t.Helper()
		if err := cp.Namespace(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
		return name
	}
	t.Run("before there is one, a connection is told so", func(t *testing.T) {
		if _, err := certificate(cp.Client, "none").Get(nil); err == nil || !strings.Contains(err.Error(), "no certificate yet") {
			t.Error(err)
		}
	})
	t.Run("whichever call fails, the certificate and the bundle that there are stay, and the next pass makes it good", func(t *testing.T) {
		ns := namespace(t, "each-call")
		f := &faulty{Client: cp.Client}
		c := certificate(f, ns)
		for name, set := range map[string]func(func() error){
			"reading": func(do func() error) { f.get = do }, "creating": func(do func() error) { f.create = do }, "publishing": func(do func() error) { f.apply = do },
		} {
			if name == "creating" && f.create == nil {
				_ = cp.Client.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: serving.AuthoritySecretName}})
			}
			before, had := c.Get(nil)
			set(func() error { return errDown })
			if err := c.Renew(t.Context()); !errors.Is(err, errDown) {
				t.Errorf("%s: %v", name, err)
			}
			if after, has := c.Get(nil); before != after || (had == nil) != (has == nil) {
				t.Errorf("%s: the certificate is another", name)
			}
			set(nil)
			if err := c.Renew(t.Context()); err != nil {
				t.Errorf("after %s: %v", name, err)
			}
			if _, err := leaf(t, c).Verify(x509.VerifyOptions{Roots: bundle(t, cp.Client, ns), DNSName: "gateway.test"}); err != nil {
				t.Errorf("after %s: %v", name, err)
			}
		}
	})
	t.Run("of many replicas that start at once all have one authority", func(t *testing.T) {
		ns := namespace(t, "at-once")
		var lost atomic.Int64
		var all sync.WaitGroup
		made := make([]*serving.Certificate, 8)
		for i := range made {
			f := &faulty{Client: cp.Client}
			made[i] = certificate(f, ns)
			f.create = func() error { time.Sleep(20 * time.Millisecond); return nil } // until all have found nothing
			all.Go(func() {
				if err := made[i].Renew(t.Context()); err != nil {
					lost.Add(1)
					t.Error(err)
				}
			})
		}
		all.Wait()
		trusted := bundle(t, cp.Client, ns)
		for _, c := range made {
			if _, err := leaf(t, c).Verify(x509.VerifyOptions{Roots: trusted, DNSName: "gateway.test"}); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("a creation whose answer is lost is found the next time, and made once", func(t *testing.T) {
		ns := namespace(t, "lost")
		f := &faulty{Client: cp.Client}
		c := certificate(f, ns)
		f.create = func() error {
			f.create = nil
			other := certificate(cp.Client, ns)
			if err := other.Renew(t.Context()); err != nil {
				t.Error(err)
			}
			return errDown
		}
		if err := c.Renew(t.Context()); !errors.Is(err, errDown) {
			t.Error(err)
		}
		first := bundle(t, cp.Client, ns)
		if err := c.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !first.Equal(bundle(t, cp.Client, ns)) {
			t.Error("there is another authority")
		}
	})
	t.Run("its key is nowhere but in the one core Secret, whose certificate clients trust", func(t *testing.T) {
		ns := namespace(t, "key")
		if err := certificate(cp.Client, ns).Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		var published corev1.ConfigMap
		var kept corev1.Secret
		for _, obj := range []client.Object{&published, &kept} {
			obj.SetName(serving.AuthoritySecretName)
			if err := cp.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: obj.GetName()}, obj); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(fmt.Sprint(published), "PRIVATE KEY") || len(published.Data) != 1 || published.Labels[v1alpha1.ManagedLabel] != v1alpha1.ManagedGateway {
			t.Errorf("%v", published.Data)
		}
		if kept.Type != corev1.SecretTypeTLS || string(kept.Data[corev1.TLSCertKey]) != published.Data[serving.BundleKey] {
			t.Error("clients trust another certificate than the authority's")
		}
	})
	t.Run("a bundle that somebody changed is set right with the next renewal", func(t *testing.T) {
		ns := namespace(t, "changed")
		c := certificate(cp.Client, ns)
		if err := c.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		good := bundle(t, cp.Client, ns)
		published := &corev1.ConfigMap{}
		if err := cp.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: serving.BundleConfigMapName}, published); err != nil {
			t.Fatal(err)
		}
		published.Data[serving.BundleKey] = "rubbish"
		if err := cp.Client.Update(t.Context(), published); err != nil {
			t.Fatal(err)
		}
		if err := c.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !good.Equal(bundle(t, cp.Client, ns)) {
			t.Error("it is another bundle")
		}
	})
	t.Run("a certificate is of the names that were asked for, and of no other", func(t *testing.T) {
		ns := namespace(t, "names")
		c := certificate(cp.Client, ns)
		if err := c.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		trusted := bundle(t, cp.Client, ns)
		for name, ok := range map[string]bool{"gateway.test": true, "127.0.0.1": true, "other.test": false, "www.gateway.test": false, "127.0.0.2": false} {
			if _, err := leaf(t, c).Verify(x509.VerifyOptions{Roots: trusted, DNSName: name}); (err == nil) != ok {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("a listener waits for its certificate, and serves when there is one", func(t *testing.T) { waits(t, cp.Client, namespace(t, "waits")) })
	t.Run("a listener lets a request end, and no longer than it may take", func(t *testing.T) { ends(t, cp.Client, namespace(t, "ends")) })
	t.Run("an address that is taken is said", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		l := &serving.Listener{Address: taken.Addr().String(), Closer: nothing{}, Handler: http.NotFoundHandler(), Log: logr.Discard(), Certificate: certificate(cp.Client, namespace(t, "taken"))}
		if err := l.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "listening for the AWS APIs") {
			t.Error(err)
		}
	})
}

func waits(t *testing.T, c client.Client, ns string) {
	var down atomic.Bool
	down.Store(true)
	f := &faulty{Client: c}
	f.get = func() error {
		if down.Load() {
			return apierrors.NewServiceUnavailable("starting")
		}
		return nil
	}
	l := &serving.Listener{Address: "127.0.0.1:0", Closer: nothing{}, Handler: http.NotFoundHandler(), Log: logr.Discard(), Certificate: certificate(f, ns)}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Start(ctx) }()
	time.Sleep(200 * time.Millisecond)
	if l.Ready(nil) == nil || l.Bound() != nil {
		t.Error("it is ready without a certificate")
	}
	down.Store(false) // and is tried again after five seconds
	for deadline := time.Now().Add(20 * time.Second); l.Ready(nil) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not serve")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// closer counts how often it is closed, and when.
type closer struct{ closed atomic.Int64 }

func (c *closer) Close() error {
	c.closed.Add(1)
	return nil
}

func ends(t *testing.T, c client.Client, ns string) {
	began, finish := make(chan struct{}, 2), make(chan struct{})
	end := &closer{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		select {
		case <-finish:
		case <-r.Context().Done():
		}
		if end.closed.Load() != 0 {
			t.Error("the trail was closed before the last request ended")
		}
		_, _ = io.WriteString(w, "done")
	})
	g := replica(t, c, ns, time.Now, func(g *gateway) { g.Handler, g.Closer, g.GracefulShutdownTimeout = handler, end, 20*time.Second })
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: bundle(t, c, ns), MinVersion: tls.VersionTLS12}}}
	got := make(chan string, 1)
	go func() {
		res, err := client.Get("https://" + g.Bound().String())
		if err != nil {
			got <- err.Error()
			return
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		got <- string(text)
	}()
	<-began
	g.stop()
	time.Sleep(100 * time.Millisecond)
	if _, err := net.DialTimeout("tcp", g.Bound().String(), time.Second); err == nil {
		t.Error("a listener that ends takes new connections")
	}
	close(finish)
	if text := <-got; text != "done" {
		t.Errorf("the request that ran was answered %q", text)
	}
	if err := <-g.ended; err != nil || end.closed.Load() != 1 {
		t.Errorf("%v, closed %d times", err, end.closed.Load())
	}
}
