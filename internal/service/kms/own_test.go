package kms_test

import (
	"errors"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// own is an account's own key for a service that there is not.
var own = kms.OwnKey{Name: "aws-example", Alias: "alias/aws/example", Description: "for examples", Owner: "strongroom.dev/example"}

func named(name string) *v1alpha1.LocalReference { return &v1alpha1.LocalReference{Name: name} }

var _ = Describe("An account's own key for a service", func() {
	It("is made when it is wanted first, and not before", func() {
		Expect(service().ReadyOrOwn(ctx, world.Namespace, nil, own)).To(Succeed(), "it may be missing")
		var list v1alpha1.KMSKeyList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		Expect(list.Items).To(BeEmpty())

		_, err := service().KeyOrOwn(ctx, world.Namespace, nil, own)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		made := environment.KMSKey(world.Namespace, own.Name)
		world.Refresh(made)
		Expect(made.Spec).To(And(HaveField("Aliases", []string{own.Alias}), HaveField("Description", own.Description),
			HaveField("Rotation", HaveValue(HaveField("Enabled", true)))), "AWS rotates its managed keys each year")
		Expect(made.ManagedFields).To(ContainElement(HaveField("Manager", own.Owner)))
		Expect(kms.Managed(made)).To(BeTrue())

		world.Seen(made)
		world.ReconcileKey(made)
		found, err := service().KeyOrOwn(ctx, world.Namespace, nil, own)
		Expect(err).NotTo(HaveOccurred())
		Expect(own.Is(found)).To(BeTrue())
	})

	It("is one, whoever of eight wants it first", func() {
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				defer GinkgoRecover()
				_, err := service().KeyOrOwn(ctx, world.Namespace, nil, own)
				faultOf(err, v1alpha1.ReasonKeyUnusable, false)
			})
		}
		wait.Wait()
		var list v1alpha1.KMSKeyList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		Expect(list.Items).To(HaveLen(1))
	})

	It("is awaited by a request, until its controller has made it", func() {
		done := make(chan error, 1)
		go func() {
			defer GinkgoRecover()
			key, err := service().AwaitKeyOrOwn(ctx, world.Namespace, nil, own)
			if err == nil && key.Status.KeyState != v1alpha1.KeyStateEnabled {
				err = errors.New("it came back with a key that is not Enabled")
			}
			done <- err
		}()
		made := environment.KMSKey(world.Namespace, own.Name)
		Eventually(func() error { return world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(made), made) }).Should(Succeed())
		Consistently(done, "100ms").ShouldNot(Receive())
		world.Seen(made)
		world.ReconcileKey(made)
		Eventually(done, "2s").Should(Receive(BeNil()))
	})

	It("is not awaited when waiting does not help: it is disabled, or another is named", func() {
		key := world.ReadyKey(own.Name)
		world.Update(key, func() { key.Spec.Enabled = ptr.To(false) })
		begin := time.Now()
		_, err := service().AwaitKeyOrOwn(ctx, world.Namespace, nil, own)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		_, err = service().AwaitKeyOrOwn(ctx, world.Namespace, named("none"), own)
		faultOf(err, v1alpha1.ReasonKeyNotFound, true)
		Expect(time.Since(begin)).To(BeNumerically("<", 3*time.Second))
	})

	It("gives its place to one that is named, and is not made for it", func() {
		key := world.ReadyKey("mine")
		found, err := service().KeyOrOwn(ctx, world.Namespace, named("mine"), own)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.UID).To(Equal(key.UID))
		Expect(service().ReadyOrOwn(ctx, world.Namespace, named("mine"), own)).To(Succeed())
		faultOf(service().ReadyOrOwn(ctx, world.Namespace, named("none"), own), v1alpha1.ReasonKeyNotFound, true)
		_, err = service().KeyOrOwn(ctx, world.Namespace, named("none"), own)
		faultOf(err, v1alpha1.ReasonKeyNotFound, true)
		var list v1alpha1.KMSKeyList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		Expect(list.Items).To(HaveLen(1), "neither the own key nor the missing one was made")
	})

	It("is refused in a state in which it makes no data keys, long before one is wanted", func() {
		key := world.ReadyKey("signs", func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
		})
		faultOf(service().ReadyOrOwn(ctx, world.Namespace, named(key.Name), own), v1alpha1.ReasonKeyUnusable, true)
		_, err := service().KeyOrOwn(ctx, world.Namespace, named(key.Name), own)
		faultOf(err, v1alpha1.ReasonKeyUnusable, true)
	})

	It("that cannot be made is no key, and the API server's error is the answer", func() {
		_, writes := world.Faulty()
		writes.FailAt(1, false)
		s := service(func(s *kms.Service) { s.Client = writes })
		_, err := s.KeyOrOwn(ctx, world.Namespace, nil, own)
		Expect(err).To(MatchError(environment.ErrInjected))
		writes.FailAt(1, true) // only the answer is lost
		_, err = s.KeyOrOwn(ctx, world.Namespace, nil, own)
		Expect(err).To(MatchError(environment.ErrInjected))
		made := environment.KMSKey(world.Namespace, own.Name)
		world.Refresh(made)
		world.Seen(made)
		world.ReconcileKey(made)
		found, err := service().KeyOrOwn(ctx, world.Namespace, nil, own)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.UID).To(Equal(made.UID), "the next one finds it")
	})
})

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html: an id, ARN, alias or alias ARN.
var _ = Describe("A KmsKeyId of a request", func() {
	const home, abroad = "us-east-1", "eu-west-1"
	var account string
	var key *v1alpha1.KMSKey
	find := func(id string) kms.NamedKey {
		GinkgoHelper()
		found, err := service().KeyByID(ctx, world.Namespace, home, account, id, own)
		Expect(err).NotTo(HaveOccurred())
		return found
	}
	BeforeEach(func() {
		account = arn.DeriveAccount(world.Namespace)
		key = world.ReadyKey("mine", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })
	})

	It("finds a key of the account and region by each of its names, and says its ARN", func() {
		for _, id := range []string{key.Status.KeyID, key.Status.ARN, "alias/shop", arn.KMSAlias(home, account, "alias/shop"), "key/" + key.Status.KeyID} {
			found := find(id)
			Expect(found.Key).NotTo(BeNil(), id)
			Expect(found.Key.UID).To(Equal(key.UID), id)
			Expect(found.ARN).To(Equal(key.Status.ARN), id)
			Expect(found.Default).To(BeFalse(), id)
		}
	})

	It("is the account's own key by its alias, or when it is left out", func() {
		for _, id := range []string{"", own.Alias, arn.KMSAlias(home, account, own.Alias)} {
			Expect(find(id)).To(Equal(kms.NamedKey{Default: true}), "%q", id)
		}
		mine := world.ReadyKey(own.Name)
		Expect(find(mine.Status.ARN)).To(And(HaveField("Default", true), HaveField("Key.Name", own.Name)))
	})

	It("finds nothing of what is not there, and says the ARN that it would have, to be asked about", func() {
		foreign := arn.KMSKey(home, "999999999999", key.Status.KeyID)
		for id, want := range map[string]string{
			otherKeyID: arn.KMSKey(home, account, otherKeyID), "alias/none": arn.KMSAlias(home, account, "alias/none"),
			foreign: foreign, arn.KMSKey(abroad, account, key.Status.KeyID): arn.KMSKey(abroad, account, key.Status.KeyID),
			"arn:aws:s3:::bucket": "arn:aws:s3:::bucket", "alias/": arn.KMSAlias(home, account, "alias/"),
		} {
			Expect(find(id)).To(Equal(kms.NamedKey{ARN: want}), id)
		}
	})

	It("by an alias is not another region's key, whether or not this region has one of that alias", func() {
		far := world.ReadyKey("far", func(k *v1alpha1.KMSKey) { k.Spec.Region, k.Spec.Aliases = abroad, []string{"alias/shop", "alias/far"} })
		Expect(find("alias/far").Key).To(BeNil())
		for range 20 { // an index has no order
			Expect(find("alias/shop").Key.UID).To(Equal(key.UID))
		}
		there, err := service().KeyByID(ctx, world.Namespace, abroad, account, "alias/shop", own)
		Expect(err).NotTo(HaveOccurred())
		Expect(there.Key.UID).To(Equal(far.UID))
	})

	It("by an alias that two keys claim is the older one's, as in KMS itself", func() {
		younger := world.ReadyKey("nine")
		world.Update(younger, func() { younger.Spec.Aliases = []string{"alias/shop"} })
		for range 20 {
			Expect(find("alias/shop").Key.UID).To(Equal(key.UID))
		}
	})

	It("does not take an API server that fails for a key that is missing", func() {
		s := service(func(s *kms.Service) { s.Reader, s.Client = deaf{}, nil })
		for _, id := range []string{key.Status.KeyID, key.Status.ARN, "alias/shop"} {
			_, err := s.KeyByID(ctx, world.Namespace, home, account, id, own)
			Expect(err).To(MatchError(errDeaf), id)
		}
	})
})
