package ssm_test

import (
	"errors"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// keyed has a SecureString be under a key.
func keyed(id string) func(*sdk.PutParameterInput) {
	return func(in *sdk.PutParameterInput) { in.Type, in.KeyId = types.ParameterTypeSecureString, &id }
}

// by may use a key by way of Systems Manager for one parameter, and nothing else of it.
func by(action string, key *v1alpha1.KMSKey, name string) caller {
	return allowed(action, key.Status.ARN,
		`{"StringEquals":{"kms:ViaService":"ssm.us-east-1.amazonaws.com","kms:EncryptionContext:PARAMETER_ARN":"`+arnOf(name)+`"}}`)
}

// https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
var _ = Describe("The key of a SecureString", func() {
	var key *v1alpha1.KMSKey
	BeforeEach(func() {
		key = world.ReadyKey("mine", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/mine"} })
	})
	putAs := func(who caller, name, value string, changes ...func(*sdk.PutParameterInput)) error {
		in := &sdk.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeSecureString, Overwrite: ptr.To(true)}
		for _, c := range changes {
			c(in)
		}
		_, err := do[sdk.PutParameterOutput](who, "PutParameter", in)
		return err
	}

	DescribeTable("needs the permission that AWS asks for, by its tier, before a value is put",
		func(action string, changes ...func(*sdk.PutParameterInput)) {
			put := allowed("ssm:PutParameter", "*")
			for _, other := range []string{"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"} {
				err := putAs(put+","+by(other, key, "s"), "s", "hush", append(changes, keyed(key.Status.KeyID))...)
				if other == action {
					Expect(err).NotTo(HaveOccurred())
					continue
				}
				be(err, "AccessDeniedException")
			}
			be(putAs(put+","+by(action, key, "other"), "s", "hush", append(changes, keyed(key.Status.KeyID))...), "AccessDeniedException")
		},
		Entry("Standard", "kms:Encrypt"),
		Entry("Advanced", "kms:GenerateDataKey", func(in *sdk.PutParameterInput) { in.Tier = types.ParameterTierAdvanced }),
		Entry("Intelligent-Tiering of a short value", "kms:Encrypt", func(in *sdk.PutParameterInput) { in.Tier = types.ParameterTierIntelligentTiering }),
		Entry("Intelligent-Tiering of a long value", "kms:GenerateDataKey", func(in *sdk.PutParameterInput) {
			in.Tier, in.Value = types.ParameterTierIntelligentTiering, ptr.To(strings.Repeat("v", 4097))
		}),
	)

	It("is asked for when the request names none and the parameter has one, also for the first value of a declared one", func() {
		put := allowed("ssm:PutParameter", "*")
		mustPut("made", "1", keyed(key.Status.KeyID))
		p := environment.Parameter(world.Namespace, "declared", func(p *v1alpha1.Parameter) {
			p.Spec.Type, p.Spec.Value, p.Spec.Target = v1alpha1.ParameterSecureString, "", nil
			p.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: "mine"}
		})
		world.Create(p)
		_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		world.Seen(p)
		for _, name := range []string{"made", "declared"} {
			be(putAs(put, name, "2"), "AccessDeniedException")
			Expect(putAs(put+","+by("kms:Encrypt", key, name), name, "2")).To(Succeed(), name)
		}
	})

	It("can be named by id, ARN, alias and alias ARN, and is told by its ARN", func() {
		aliasARN := strings.Replace(key.Status.ARN, "key/"+key.Status.KeyID, "alias/mine", 1)
		for _, id := range []string{key.Status.KeyID, key.Status.ARN, "alias/mine", aliasARN} {
			mustPut("s", "v", overwrite, keyed(id))
			out := must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{})
			Expect(*out.Parameters[0].KeyId).To(Equal(key.Status.ARN), id)
		}
		mustPut("s", "v", overwrite, keyed("alias/aws/ssm"))
		Expect(*must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{}).Parameters[0].KeyId).To(Equal("alias/aws/ssm"))
	})

	It("that is not there, or another account's, is told only to whoever may use it", func() {
		for _, id := range []string{"alias/none", "11111111-2222-3333-4444-555555555555", "arn:aws:kms:us-east-1:" + account + ":key/none"} {
			be(putAs(allowed("ssm:PutParameter", "*"), "s", "v", keyed(id)), "AccessDeniedException")
			be(putAs(administrator, "s", "v", keyed(id)), "InvalidKeyId")
		}
		_, err := get("s", false)
		be(err, "ParameterNotFound")
	})

	It("is none of a String's", func() {
		_, err := put("s", "v", func(in *sdk.PutParameterInput) { in.KeyId = &key.Status.KeyID })
		be(err, "ValidationException")
		Expect(err).To(MatchError(ContainSubstring("SecureString")))
	})

	It("that is disabled is InvalidKeyId, and the value can be read again when it is enabled", func() {
		mustPut("s", "hush", keyed(key.Status.KeyID))
		enable := func(on bool) {
			world.Update(key, func() { key.Spec.Enabled = &on })
			world.ReconcileKey(key)
		}
		enable(false)
		_, err := get("s", true)
		be(err, "InvalidKeyId")
		_, err = put("s", "2", overwrite, secure)
		be(err, "InvalidKeyId")
		_, err = do[sdk.GetParameterHistoryOutput](administrator, "GetParameterHistory",
			&sdk.GetParameterHistoryInput{Name: ptr.To("s"), WithDecryption: ptr.To(true)})
		be(err, "InvalidKeyId")
		enable(true)
		Expect(*mustGet("s").Value).To(Equal("hush"))
	})

	// unusable expects AWS's error of a key, which names the parameter.
	unusable := func(err error, name string) {
		GinkgoHelper()
		be(err, "InvalidKeyId")
		Expect(err).To(MatchError(ContainSubstring(" parameter " + name + " ")))
	}

	DescribeTable("that cannot be used fails the whole request, and names the parameter to whoever may use it",
		func(lose func()) {
			mustPut("/k/a", "1", secure)
			mustPut("/k/bad", "2", keyed(key.Status.KeyID))
			mustPut("/k/z", "3")
			lose()
			read := func(who caller, decrypt bool) (errs []error) {
				_, err := do[sdk.GetParameterOutput](who, "GetParameter", &sdk.GetParameterInput{Name: ptr.To("/k/bad"), WithDecryption: &decrypt})
				errs = append(errs, err)
				_, err = do[sdk.GetParametersOutput](who, "GetParameters", &sdk.GetParametersInput{Names: []string{"/k/a", "/k/bad", "/k/z"}, WithDecryption: &decrypt})
				errs = append(errs, err)
				_, err = do[sdk.GetParametersByPathOutput](who, "GetParametersByPath", &sdk.GetParametersByPathInput{Path: ptr.To("/k"), WithDecryption: &decrypt})
				errs = append(errs, err)
				_, err = do[sdk.GetParameterHistoryOutput](who, "GetParameterHistory", &sdk.GetParameterHistoryInput{Name: ptr.To("/k/bad"), WithDecryption: &decrypt})
				return append(errs, err)
			}
			ssm := allowed("ssm:Get*", "*")
			for _, err := range read(administrator, true) {
				unusable(err, "/k/bad")
			}
			for _, err := range read(ssm+","+by("kms:Decrypt", key, "/k/bad"), true) {
				unusable(err, "/k/bad")
			}
			for _, err := range read(ssm, true) {
				be(err, "AccessDeniedException")
				Expect(err).NotTo(MatchError(ContainSubstring("/k/bad")))
			}
			for _, err := range read(ssm, false) {
				Expect(err).NotTo(HaveOccurred(), "ciphertexts need no key")
			}
			_, err := put("/k/bad", "4", overwrite, secure)
			unusable(err, "/k/bad")
		},
		Entry("disabled", func() {
			world.Update(key, func() { key.Spec.Enabled = new(bool) })
			world.ReconcileKey(key)
		}),
		Entry("gone", func() {
			world.Update(key, func() { key.Finalizers = nil })
			world.Remove(key)
		}),
	)

	It("of the account's own that is gone is told to whoever may read the parameter, as it needs no permission", func() {
		mustPut("/k/bad", "1", secure)
		own := environment.KMSKey(world.Namespace, "aws-ssm")
		world.Update(own, func() { own.Finalizers = nil })
		world.Remove(own)
		_, err := do[sdk.GetParametersByPathOutput](allowed("ssm:Get*", "*"), "GetParametersByPath", &sdk.GetParametersByPathInput{Path: ptr.To("/k"), WithDecryption: ptr.To(true)})
		unusable(err, "/k/bad")
	})

	It("is asked for each version of a history, and for each parameter of a path", func() {
		other := world.ReadyKey("other")
		mustPut("/h/s", "1", keyed(key.Status.KeyID))
		mustPut("/h/s", "2", overwrite, keyed(other.Status.KeyID))
		history := &sdk.GetParameterHistoryInput{Name: ptr.To("/h/s"), WithDecryption: ptr.To(true)}
		read := allowed("ssm:Get*", "*")
		one := read + "," + by("kms:Decrypt", other, "/h/s")
		_, err := do[sdk.GetParameterHistoryOutput](one, "GetParameterHistory", history)
		be(err, "AccessDeniedException")
		_, err = do[sdk.GetParameterOutput](one, "GetParameter", &sdk.GetParameterInput{Name: ptr.To("/h/s"), WithDecryption: ptr.To(true)})
		Expect(err).NotTo(HaveOccurred())
		out, err := do[sdk.GetParameterHistoryOutput](one+","+by("kms:Decrypt", key, "/h/s"), "GetParameterHistory", history)
		Expect(err).NotTo(HaveOccurred())
		Expect([]string{*out.Parameters[0].Value, *out.Parameters[1].Value}).To(Equal([]string{"1", "2"}))
		mustPut("/h/t", "3", keyed(key.Status.KeyID))
		in := &sdk.GetParametersByPathInput{Path: ptr.To("/h"), WithDecryption: ptr.To(true)}
		_, err = do[sdk.GetParametersByPathOutput](one, "GetParametersByPath", in)
		be(err, "AccessDeniedException")
		in.WithDecryption = nil
		_, err = do[sdk.GetParametersByPathOutput](read, "GetParametersByPath", in)
		Expect(err).NotTo(HaveOccurred(), "ciphertexts need no key")
	})
})

var _ = Describe("A value that does not open", func() {
	sent := func() error {
		_, err := get("/a/s", true)
		return err
	}
	It("is no value: moved to another name, to another version, or changed by a bit, it fails without a word of it", func() {
		mustPut("/a/s", "hush", secure)
		mustPut("/a/t", "other", secure)
		var s, t *v1alpha1.Envelope
		for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
			switch e.Spec.Subject {
			case arnOf("/a/s"):
				s = &e
			case arnOf("/a/t"):
				t = &e
			}
		}
		good := s.Spec
		for what, change := range map[string]func(*v1alpha1.Envelope){
			"another parameter's value": func(e *v1alpha1.Envelope) {
				e.Spec.Ciphertext, e.Spec.EncryptedDataKey = t.Spec.Ciphertext, t.Spec.EncryptedDataKey
			},
			"another's data key": func(e *v1alpha1.Envelope) { e.Spec.EncryptedDataKey = t.Spec.EncryptedDataKey },
			"a bit":              func(e *v1alpha1.Envelope) { e.Spec.Ciphertext = flipped(e.Spec.Ciphertext) },
			"the time":           func(e *v1alpha1.Envelope) { e.Spec.CreatedTime.Time = e.Spec.CreatedTime.AddDate(0, 0, -1) },
			"no data key":        func(e *v1alpha1.Envelope) { e.Spec.EncryptedDataKey = nil },
		} {
			s = world.Exchange(s, func(e *v1alpha1.Envelope) { change(e) })
			err := sent()
			Expect(errors.Is(err, store.ErrTampered)).To(BeTrue(), "%s: %v", what, err)
			Expect(err.Error()).NotTo(Or(ContainSubstring("hush"), ContainSubstring("other")))
			s = world.Exchange(s, func(e *v1alpha1.Envelope) { e.Spec = good })
			Expect(sent()).To(Succeed(), what)
		}
	})

	It("is an InternalServerError while the keyring is sealed, for reading and for writing", func() {
		mustPut("/a/s", "hush", secure)
		mustPut("/a/text", "plain")
		unseal := world.Seal(keyring.ErrSealed)
		be(sent(), "InternalServerError")
		_, err := get("/a/text", false)
		be(err, "InternalServerError")
		_, err = put("/a/s", "2", overwrite, secure)
		be(err, "InternalServerError")
		unseal()
		Expect(sent()).To(Succeed())
		Expect(mustGet("/a/s").Version).To(Equal(int64(1)))
	})
})

func flipped(b []byte) []byte {
	out := append([]byte(nil), b...)
	out[len(out)-1] ^= 1
	return out
}
