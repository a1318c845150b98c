package kms_test

import (
	"context"
	"fmt"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/grants"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/kms"
)

// counting counts the grants that are read from the cache.
type counting struct {
	client.Reader
	read, lists int
}

func (c *counting) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := c.Reader.List(ctx, list, opts...)
	if all, ok := list.(*v1alpha1.KMSGrantList); ok {
		c.read += len(all.Items)
		c.lists++
	}
	return err
}

// crowded says that every list of grants has as many as a key can have.
type crowded struct{ client.Reader }

func (c crowded) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if all, ok := list.(*v1alpha1.KMSGrantList); ok {
		all.Items = make([]v1alpha1.KMSGrant, grants.MaximumPerKey)
		return nil
	}
	return c.Reader.List(ctx, list, opts...)
}

// through has the operations go by another reader until the spec ends.
func through(reader client.Reader) {
	GinkgoHelper()
	before := operations
	DeferCleanup(func() { operations = before })
	service := *world.Services.KMS
	service.Reader = reader
	operations = map[string]gateway.Operation{}
	for _, o := range kms.New(kms.Dependencies{KMS: &service, KeyStores: world.Services.CloudHSM, Authorities: world.Services.Authorities}).Operations {
		operations[o.Name] = o
	}
}

// many makes grants of a key, the odd ones to a tenant each by an encryption context and all to one grantee, as a provider does that has many tenants. The last is
// awaited.
func many(key *v1alpha1.KMSKey, grantee string, count int) (ids []string) {
	GinkgoHelper()
	for n := range count {
		ids = append(ids, fmt.Sprintf("%016x%048x", uint64(n)*0x9e3779b97f4a7c15, 0)) // not in their order, and evenly
		g := &v1alpha1.KMSGrant{
			ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: ids[n]},
			Spec: v1alpha1.KMSGrantSpec{
				KMSKeyRef: v1alpha1.LocalReference{Name: key.Name}, GranteePrincipal: grantee, Operations: []v1alpha1.GrantOperation{"Encrypt", "Decrypt"},
				Constraints: &v1alpha1.GrantConstraints{EncryptionContextSubset: map[string]string{"tenant": fmt.Sprint(n)}},
			},
		}
		if n%2 == 0 {
			g.Spec.Constraints = &v1alpha1.GrantConstraints{EncryptionContextEquals: map[string]string{"tenant": fmt.Sprint(n)}}
		}
		Expect(world.ControlPlane.Client.Create(ctx, g)).To(Succeed())
	}
	Eventually(func() int {
		var all v1alpha1.KMSGrantList
		Expect(world.GetClient().List(ctx, &all, client.InNamespace(key.Namespace))).To(Succeed())
		return len(all.Items)
	}).Should(BeNumerically(">=", count))
	slices.Sort(ids)
	return ids
}

var _ = Describe("A key with many grants", func() {
	const count = 600
	// page is a page of grants, and how many were read for it.
	listing := func(c *caller, id string, seen *counting, in awskms.ListGrantsInput) (ids []string, most int) {
		GinkgoHelper()
		in.KeyId = &id
		for {
			seen.read = 0
			out := must[awskms.ListGrantsOutput](c, "ListGrants", &in)
			most = max(most, seen.read)
			for _, g := range out.Grants {
				ids = append(ids, *g.GrantId)
			}
			if in.Marker = out.NextMarker; !out.Truncated {
				return ids, most
			}
		}
	}

	It("lists them all once, page by page, and reads little more for a page than is on it", func() {
		key := *createKey(admin()).KeyId
		bob := person(world.Namespace, "bob", "")
		ids := many(object(key), bob.arn(), count)
		seen := &counting{Reader: world.GetClient()}
		through(seen)
		for _, limit := range []int32{1, 7, 50, 100} {
			if limit == 1 && count > 100 { // one page of one is enough
				out := must[awskms.ListGrantsOutput](admin(), "ListGrants", &awskms.ListGrantsInput{KeyId: &key, Limit: aws.Int32(1)})
				Expect(*out.Grants[0].GrantId).To(Equal(ids[0]))
				Expect(out.Truncated).To(BeTrue())
				continue
			}
			listed, most := listing(admin(), key, seen, awskms.ListGrantsInput{Limit: aws.Int32(limit)})
			Expect(listed).To(Equal(ids), fmt.Sprint(limit))
			Expect(most).To(BeNumerically("<=", 101+4*count/64), "of each part of all ids that the page touches")
		}
		one := must[awskms.ListGrantsOutput](admin(), "ListGrants", &awskms.ListGrantsInput{KeyId: &key, GrantId: &ids[17]})
		Expect(one.Grants).To(HaveLen(1))
		Expect(*one.Grants[0].GrantId).To(Equal(ids[17]))
	})

	It("lists those of one grantee among those of others", func() {
		key := *createKey(admin()).KeyId
		bob, ada := person(world.Namespace, "bob", ""), person(world.Namespace, "ada", "")
		many(object(key), bob.arn(), 130)
		var theirs []string
		for range 3 {
			theirs = append(theirs, *grant(admin(), key, ada.arn(), "Decrypt").GrantId)
		}
		seen := &counting{Reader: world.GetClient()}
		through(seen)
		listed, most := listing(admin(), key, seen, awskms.ListGrantsInput{GranteePrincipal: s(ada.arn()), Limit: aws.Int32(2)})
		Expect(listed).To(ConsistOf(theirs))
		Expect(most).To(BeNumerically("<=", 3))
		listed, _ = listing(admin(), key, seen, awskms.ListGrantsInput{GranteePrincipal: s(bob.arn())})
		Expect(listed).To(HaveLen(130))
		out := must[awskms.ListGrantsOutput](admin(), "ListGrants", &awskms.ListGrantsInput{KeyId: &key, GranteePrincipal: s(bob.arn()), GrantId: &theirs[0]})
		Expect(out.Grants).To(BeEmpty())
	})

	It("is used through the one of them that the encryption context meets, and no other is read", func() {
		key := *createKey(admin()).KeyId
		bob := person(world.Namespace, "bob", "")
		many(object(key), bob.arn(), 130)
		seen := &counting{Reader: world.GetClient()}
		through(seen)
		for _, tenant := range []string{"7", "8"} { // one by a subset, and one by all
			seen.read = 0
			blob := encrypt(bob, key, "x", map[string]string{"Tenant": tenant})
			Expect(seen.read).To(Equal(1), tenant)
			text, err := decrypt(bob, blob, map[string]string{"Tenant": tenant})
			Expect(err).NotTo(HaveOccurred())
			Expect(text).To(Equal("x"))
		}
		encrypt(bob, key, "x", map[string]string{"tenant": "7", "more": "y"})
		seen.read = 0
		for _, ec := range []map[string]string{nil, {"tenant": "8", "more": "y"}, {"tenant": "130"}, {"tenants": "7"}} {
			denied(bob, "Encrypt", &awskms.EncryptInput{KeyId: &key, Plaintext: []byte("x"), EncryptionContext: ec})
		}
		Expect(seen.read).To(BeZero())
		denied(bob, "DescribeKey", &awskms.DescribeKeyInput{KeyId: &key})
	})

	It("gets another one at the cost of a few reads, and none beyond AWS's limit", func() {
		key := *createKey(admin()).KeyId
		bob := person(world.Namespace, "bob", "")
		many(object(key), bob.arn(), count)
		seen := &counting{Reader: world.GetClient()}
		through(seen)
		grant(admin(), key, bob.arn(), "Decrypt")
		Expect(seen.read).To(BeNumerically("<=", 2*count*4/64))

		through(crowded{world.GetClient()})
		code, message := refused[awskms.CreateGrantOutput](admin(), "CreateGrant", &awskms.CreateGrantInput{
			KeyId: &key, GranteePrincipal: s(bob.arn()), Operations: []types.GrantOperation{"Encrypt"},
		})
		Expect(code).To(Equal("LimitExceededException"))
		Expect(message).NotTo(BeEmpty())
	})

	It("counts the grants of the key alone", func() {
		key, other := *createKey(admin()).KeyId, *createKey(admin()).KeyId
		bob := person(world.Namespace, "bob", "")
		many(object(key), bob.arn(), 70)
		Expect(listed(admin(), other)).To(BeEmpty())
		theirs := *grant(admin(), other, bob.arn(), "Decrypt").GrantId
		Expect(listed(admin(), other)).To(ConsistOf(HaveField("GrantId", HaveValue(Equal(theirs)))))
	})
})
