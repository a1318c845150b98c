package kms_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	servicekms "strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// What AWS documents for many operations alike is asked of each operation that documents it.
var _ = Describe("By way of AWS's SDK, every operation", Ordered, ContinueOnFailure, func() {
	var t *stock
	var door *environment.Door
	var r remote
	BeforeAll(func() {
		t, door = newStock(), open()
		door.UniqueID = t.alice.call.Identity.Principal.UniqueID
		r = byWayOf(door, region)
	})

	// each asks every operation that documents an error by its request of the stock, as changed.
	each := func(code string, change func(name string, in any) any) {
		GinkgoHelper()
		for _, name := range documenting(code) {
			if in := t.request(name); in != nil {
				if in = change(name, in); in != nil {
					r.refuses(code, name, in)
				}
			}
		}
	}

	It("succeeds", func() {
		for name := range documented() {
			if in := t.request(name); in != nil {
				_, err := r.do(name, in)
				Expect(err).NotTo(HaveOccurred(), name)
			}
		}
	})

	It("does not find a key that is not there: NotFoundException", func() {
		each("NotFoundException", func(name string, in any) any {
			switch member := keyMember(in); {
			case name == "DeleteAlias":
				return with(in, "AliasName", s("alias/absent"))
			case member == "":
				return nil
			default:
				return with(in, member, s(absent))
			}
		})
	})

	It("does not take an ARN that is none of a key: InvalidArnException", func() {
		each("InvalidArnException", func(name string, in any) any {
			if name == "ListRetirableGrants" {
				return with(in, "RetiringPrincipal", s("arn:aws:iam::123456789012:nobody/x"))
			}
			if keyMember(in) == "" {
				return nil
			}
			return with(in, keyMember(in), s("arn:aws:kms:"+region+":123456789012:secret/x"))
		})
	})

	It("that has a dry run does nothing in it, and says that it would have succeeded: DryRunOperationException", func() {
		each("DryRunOperationException", func(_ string, in any) any { return with(in, "DryRun", aws.Bool(true)) })
	})

	It("does not take a token that is none of a grant: InvalidGrantTokenException", func() {
		each("InvalidGrantTokenException", func(name string, in any) any {
			if name == "RetireGrant" {
				return &awskms.RetireGrantInput{GrantToken: s("x")}
			}
			return with(in, "GrantTokens", []string{"x"})
		})
	})

	It("that lists does not take a marker that it did not give: InvalidMarkerException", func() {
		each("InvalidMarkerException", func(_ string, in any) any { return with(in, "Marker", s("x")) })
	})

	It("on grants does not take an id that none can have: InvalidGrantIdException", func() {
		each("InvalidGrantIdException", func(_ string, in any) any { return with(in, "GrantId", s("x")) })
	})

	It("does not use a key for what it is not for: InvalidKeyUsageException", func() {
		each("InvalidKeyUsageException", func(name string, in any) any {
			if name == "GetPublicKey" { // every key that has a public one has it for all its usages
				return nil
			}
			return with(in, keyMember(in), t.ofAnotherUsage(name))
		})
	})

	It("does not open what is no ciphertext of its: InvalidCiphertextException", func() {
		each("InvalidCiphertextException", func(name string, in any) any {
			for _, member := range []string{"CiphertextBlob", "SharedSecretCiphertextBlob", "EncryptedKeyMaterial"} {
				if has(in, member) {
					return with(in, member, []byte("x"))
				}
			}
			return nil
		})
	})

	It("does not open a ciphertext of another key than it names: IncorrectKeyException", func() {
		r.refuses("IncorrectKeyException", "Decrypt", with(t.request("Decrypt"), "KeyId", t.other))
		r.refuses("IncorrectKeyException", "ReEncrypt", with(t.request("ReEncrypt"), "SourceKeyId", t.other))
	})

	It("that takes a policy takes none that is malformed, or too long: MalformedPolicyDocumentException, LimitExceededException", func() {
		each("MalformedPolicyDocumentException", func(_ string, in any) any { return with(in, "Policy", s("{}")) })
		for _, name := range documenting("MalformedPolicyDocumentException") {
			r.refuses("LimitExceededException", name, with(t.request(name), "Policy", aws.String(`{"Id":"`+strings.Repeat("x", 32<<10)+`"}`)))
		}
	})

	It("on tags leaves AWS's own alone: TagException", func() {
		each("TagException", func(name string, in any) any {
			if name == "UntagResource" {
				return with(in, "TagKeys", []string{"aws:x"})
			}
			return with(in, "Tags", []types.Tag{{TagKey: s("aws:x"), TagValue: s("x")}})
		})
	})

	It("does not do with a key what its type has not: UnsupportedOperationException", func() {
		each("UnsupportedOperationException", func(name string, in any) any {
			switch name {
			case "CreateKey":
				return with(in, "KeySpec", types.KeySpecSm2)
			case "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext":
				return with(in, "KeyPairSpec", types.DataKeyPairSpecSm2)
			case "GenerateRandom":
				return with(in, "CustomKeyStoreId", s("cks-1234567890abcdef0"))
			case "EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand", "ListKeyRotations":
				return with(in, "KeyId", t.codes)
			case "GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial", "GetPublicKey", "ReplicateKey", "UpdatePrimaryRegion":
				return with(in, "KeyId", t.symmetric)
			}
			return nil
		})
	})

	It("that verifies says no by an error: KMSInvalidSignatureException, KMSInvalidMacException", func() {
		r.refuses("KMSInvalidSignatureException", "Verify", with(t.request("Verify"), "Message", []byte("y")))
		r.refuses("KMSInvalidMacException", "VerifyMac", with(t.request("VerifyMac"), "Message", []byte("y")))
	})

	It("tells what was made already, and what names cannot be: AlreadyExistsException, InvalidAliasNameException", func() {
		for _, name := range documenting("AlreadyExistsException") {
			in := t.request(name)
			_, err := r.do(name, in)
			Expect(err).NotTo(HaveOccurred(), name)
			r.refuses("AlreadyExistsException", name, in)
		}
		r.refuses("InvalidAliasNameException", "CreateAlias", with(t.request("CreateAlias"), "AliasName", s("alias/a:b")))
	})

	It("does no more than AWS's quotas allow: LimitExceededException", func() {
		full := object(*t.fresh())
		world.Update(full, func() {
			for i := range 50 {
				full.Spec.Aliases = append(full.Spec.Aliases, fmt.Sprintf("alias/%s-%02d", full.Name, i))
				full.Spec.Tags = append(full.Spec.Tags, v1alpha1.Tag{Key: fmt.Sprint(i)})
			}
		})
		r.refuses("LimitExceededException", "CreateAlias", with(t.request("CreateAlias"), "TargetKeyId", &full.Name))
		r.refuses("LimitExceededException", "UpdateAlias", with(t.request("UpdateAlias"), "TargetKeyId", &full.Name))
		r.refuses("LimitExceededException", "TagResource", with(t.request("TagResource"), "KeyId", &full.Name))

		full.Status.OnDemandRotations = servicekms.MaximumOnDemandRotations
		Expect(world.ControlPlane.Client.Status().Update(ctx, full)).To(Succeed())
		world.Seen(full)
		r.refuses("LimitExceededException", "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &full.Name})

		service := *world.Services.KMS
		service.Reader = crowded{world.GetClient()}
		byWayOf(world.Open(kms.New(kms.Dependencies{KMS: &service})), region).refuses("LimitExceededException", "CreateGrant", t.request("CreateGrant"))
	})

	It("does not rotate on demand what is about to rotate by itself: ConflictException", func() {
		DeferCleanup(func() { world.Clock.Set(time.Now()) })
		id := t.fresh()
		status := func() *awskms.GetKeyRotationStatusOutput {
			GinkgoHelper()
			return got[awskms.GetKeyRotationStatusOutput](r, "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: id})
		}
		got[awskms.EnableKeyRotationOutput](r, "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: id, RotationPeriodInDays: aws.Int32(90)})
		next := *status().NextRotationDate
		Expect(next).To(BeTemporally("~", world.Clock.Now().AddDate(0, 0, 90), 25*time.Hour), "before the controller has looked")
		world.ReconcileKey(object(*id))
		Expect(*status().NextRotationDate).To(BeTemporally("==", next), "and after it")
		Expect(object(*id).Status.NextRotationTime.Time).To(BeTemporally("==", next))

		world.Clock.Set(next.Add(-21 * time.Minute))
		got[awskms.RotateKeyOnDemandOutput](r, "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: id})
		world.ReconcileKey(object(*id))
		for _, before := range []time.Duration{20 * time.Minute, time.Minute, 0, -time.Hour} {
			world.Clock.Set(next.Add(-before))
			key := object(*id)
			r.refuses("ConflictException", "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: id})
			Expect(object(*id)).To(Equal(key))
		}
		world.ReconcileKey(object(*id))
		Expect(rotationsOf(*id).Rotations).To(HaveLen(2))
		got[awskms.RotateKeyOnDemandOutput](r, "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: id})
	})

	It("that imports refuses a token that is none or has ended, and material that is another: InvalidImportToken-, ExpiredImportToken- and IncorrectKeyMaterialException", func() {
		in := t.request("ImportKeyMaterial").(*awskms.ImportKeyMaterialInput)
		other := *in
		other.ImportToken = []byte("x")
		r.refuses("InvalidImportTokenException", "ImportKeyMaterial", &other)
		r.refuses("IncorrectKeyMaterialException", "ImportKeyMaterial", importing(*t.imported, secret32()))
		DeferCleanup(func() { world.Clock.Set(time.Now()) })
		world.Clock.Advance(25 * time.Hour)
		r.refuses("ExpiredImportTokenException", "ImportKeyMaterial", in)
	})

	It("that needs key material says that it is not there for now: KeyUnavailableException", func() {
		requests := map[string]any{}
		for _, name := range documenting("KeyUnavailableException") {
			requests[name] = t.request(name)
		}
		world.Seal(errors.New("sealed"))
		for name, in := range requests {
			world.Services.KMS.Materials.Clear()
			r.refuses("KeyUnavailableException", name, in)
		}
	})

	for code, cause := range map[string]error{"DependencyTimeoutException": context.DeadlineExceeded, "KMSInternalException": environment.ErrInjected} {
		It("says that what it stands on has failed, and no more of it: "+code, func() {
			broken := byWayOf(world.Open(brokenBy(cause)), region)
			requests := map[string]any{}
			cluster := hsmCluster(world.Namespace, strings.ToLower(code), asStore(strings.ToLower(code), false))
			stores := onStores(cluster, cluster)
			for _, name := range documenting(code) {
				if requests[name] = t.request(name); requests[name] == nil {
					requests[name] = stores[name]
				}
			}
			for name, in := range requests {
				if slices.Contains(standsOnNothing, name) {
					continue
				}
				broken.refuses(code, name, in)
				_, message := broken.code(name, in)
				Expect(message).NotTo(ContainSubstring(cause.Error()), name)
			}
		})
	}
})

// standsOnNothing are the operations that need neither Kubernetes nor a key.
var standsOnNothing = []string{"GenerateRandom"}

// brokenBy is the operations on a Kubernetes that answers nothing but an error.
func brokenBy(cause error) gateway.Service {
	broken := unanswered{world.GetClient(), cause}
	service, stores := *world.Services.KMS, world.Services.CloudHSM
	service.Reader, service.Client, service.Live, service.Store = broken, broken, broken, &store.Store{Client: broken, Live: broken}
	service.Materials.Clear()
	return kms.New(kms.Dependencies{
		KMS: &service, Authorities: world.Services.Authorities,
		KeyStores: &cloudhsm.Service{Client: broken, Live: broken, Namespace: stores.Namespace, Region: stores.Region},
	})
}

// unanswered is a client whose requests all fail.
type unanswered struct {
	client.Client
	cause error
}

func (u unanswered) failure(what string) error { return fmt.Errorf("%s: %w", what, u.cause) }

func (u unanswered) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return u.failure("get")
}

func (u unanswered) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return u.failure("list")
}

func (u unanswered) Create(context.Context, client.Object, ...client.CreateOption) error {
	return u.failure("create")
}

func (u unanswered) Patch(context.Context, client.Object, client.Patch, ...client.PatchOption) error {
	return u.failure("patch")
}

func (u unanswered) Apply(context.Context, runtime.ApplyConfiguration, ...client.ApplyOption) error {
	return u.failure("apply")
}

func (u unanswered) Delete(context.Context, client.Object, ...client.DeleteOption) error {
	return u.failure("delete")
}
