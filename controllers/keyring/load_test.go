package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers"
	corering "strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/internal/unseal"
	"strongroom.dev/strongroom/test/environment"
)

// manager is the KMS of one process, which opens key material anew for nearly each request.
type manager struct {
	name string
	kms  *kms.Service
}

func managerOf(name string, of *kms.Service, holder *corering.Holder) manager {
	s := *of
	s.Keyring, s.Materials = holder, corering.NewMaterialCache(0, time.Millisecond, nil)
	return manager{name, &s}
}

// behind is a keyring that nobody tells of new domain keys: it has them when something under them is to be opened.
func behind(until context.Context) *corering.Holder {
	GinkgoHelper()
	u := &unseal.Unsealer{
		Client: world.ControlPlane.Client, Live: world.ControlPlane.Client, Namespace: environment.OperatorNamespace, Holder: &corering.Holder{}, Log: logr.Discard(),
	}
	u.Holder.RenewWith(u.Renew)
	go func() { _ = u.Start(until) }()
	Eventually(u.Holder.Unsealed()).Should(BeClosed())
	return u.Holder
}

// request is one user's: all that needs key material, and what was encrypted before is decrypted.
func (m manager) request(symmetric, signing *v1alpha1.KMSKey, before []byte, message keys.Message) error {
	blob, _, err := m.kms.Encrypt(ctx, symmetric, keys.Encrypt, nil, secretbytes.Copy([]byte("hunter2")))
	if err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	for _, ciphertext := range [][]byte{before, blob} {
		plaintext, err := m.kms.Decrypt(ctx, symmetric, nil, ciphertext)
		if err != nil || string(plaintext.Reveal()) != "hunter2" {
			return fmt.Errorf("decrypting: %w", errors.Join(err, errors.New("or it is something else")))
		}
	}
	dataKey, encrypted, err := m.kms.GenerateDataKey(ctx, symmetric, nil)
	if err != nil {
		return fmt.Errorf("making a data key: %w", err)
	}
	if plaintext, err := m.kms.Decrypt(ctx, symmetric, nil, encrypted); err != nil || !plaintext.Equal(dataKey) {
		return fmt.Errorf("decrypting a data key: %w", err)
	}
	signature, err := m.kms.Sign(ctx, signing, keys.ECDSASHA256, message)
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	return m.kms.Verify(ctx, signing, keys.ECDSASHA256, message, signature)
}

var _ = Describe("Under load", func() {
	It("no request fails at any of three managers, of which one is told of no domain key, while two rotate and rewrap at once", func() {
		symmetric := world.ReadyKey("symmetric")
		signing := world.ReadyKey("signing", func(k *v1alpha1.KMSKey) { k.Spec.KeySpec, k.Spec.KeyUsage = "ECC_NIST_P256", "SIGN_VERIFY" })
		before, _, err := world.Services.KMS.Encrypt(ctx, symmetric, keys.Encrypt, nil, secretbytes.Copy([]byte("hunter2")))
		Expect(err).NotTo(HaveOccurred())
		records(130)
		k := made()

		second, err := environment.RunOperator(ctx, world.ControlPlane.Config, operator.Options{WithoutControllers: true, Now: world.Clock.Now})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(second.Stop()).To(Succeed()) })
		until, stop := context.WithCancel(ctx)
		defer stop()
		managers := []manager{
			managerOf("the leader", world.Services.KMS, world.Services.Keyring), managerOf("another", second.Services.KMS, second.Services.Keyring),
			managerOf("one that is behind", second.Services.KMS, behind(until)),
		}
		message := keys.Message{Bytes: []byte("m"), Type: keys.Raw}
		var requests, failures atomic.Int64
		failed := make(chan error, 1)
		var users sync.WaitGroup
		for _, m := range managers {
			users.Go(func() {
				for until.Err() == nil {
					requests.Add(1)
					if err := m.request(symmetric, signing, before, message); err != nil {
						failures.Add(1)
						select {
						case failed <- fmt.Errorf("%s: %w", m.name, err):
						default:
						}
					}
					time.Sleep(time.Millisecond) // so that the passes get on, on a machine with few processors
				}
			})
		}
		other := controllers.NewKeyring(second.Services, events.NewFakeRecorder(1000))
		users.Go(func() { // a former leader that does not know that it is one
			for until.Err() == nil {
				_, _ = passBy(other, k)
				time.Sleep(20 * time.Millisecond)
			}
		})

		for round := range 2 {
			ask(k, fmt.Sprint("round ", round))
			Eventually(func() string {
				_, _ = passBy(world.Keyring, k)
				world.Refresh(k)
				return k.Status.LastHandledRotateAt
			}).Should(Equal(fmt.Sprint("round ", round)))
			world.Clock.Advance(time.Minute)
			fresh := world.ReadyKey(fmt.Sprint("fresh-", round)) // under a domain key that the one behind has not
			for _, m := range managers {
				Eventually(func() error { // as soon as its cache has the key
					return m.kms.Reader.Get(ctx, client.ObjectKeyFromObject(fresh), &v1alpha1.KMSKey{})
				}).Should(Succeed())
				var blob []byte
				Eventually(func() (err error) {
					blob, _, err = m.kms.Encrypt(ctx, fresh, keys.Encrypt, nil, secretbytes.Copy([]byte("x")))
					if !errors.Is(err, store.ErrMissing) { // and its Envelope
						Expect(err).NotTo(HaveOccurred(), m.name)
					}
					return err
				}).Should(Succeed())
				_, err = world.Services.KMS.Decrypt(ctx, fresh, nil, blob)
				Expect(err).NotTo(HaveOccurred())
			}
			Eventually(func() any {
				_, _ = passBy(world.Keyring, k)
				world.Refresh(k)
				return condition(k, v1alpha1.ConditionRewrapped).Status
			}, "3m").Should(BeEquivalentTo("True"))
			Eventually(func() int {
				left := 0
				for _, e := range underDomainKeys() {
					if e.Spec.KeyARN != fmt.Sprint("strongroom:domain-key/", k.Status.CurrentEpoch) {
						left++
					}
				}
				return left
			}, "3m").Should(BeZero())
		}
		done := requests.Load()
		Eventually(requests.Load).Should(BeNumerically(">", done+10), "requests go on")
		stop()
		users.Wait()
		select {
		case err := <-failed:
			Fail(fmt.Sprintf("%d of %d requests failed, the first: %v", failures.Load(), requests.Load(), err))
		default:
		}
		Expect(requests.Load()).To(BeNumerically(">", 50))
		allOpenUnder(k.Status.CurrentEpoch)
		for _, m := range managers {
			ring, err := m.kms.Keyring.Get()
			Expect(err).NotTo(HaveOccurred())
			Expect(ring.CurrentEpoch()).To(Equal(k.Status.CurrentEpoch), m.name)
		}
	})
})
