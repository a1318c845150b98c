package secret_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

func environmentSecret(name string, changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
	return environment.Secret(namespace, name, changes...)
}

// ready2 makes a Secret of another name and key and makes one pass.
func ready2(name, keyName string) *v1alpha1.Secret {
	GinkgoHelper()
	s := environmentSecret(name, func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef.Name = keyName })
	create(s)
	reconcile(s)
	return s
}

// template projects one key by a template.
func template(key, text string) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) {
		s.Spec.Target.Template = &v1alpha1.TargetTemplate{Data: map[string]string{key: text}}
	}
}

func secretIndex(s *v1alpha1.Secret) versions.Index { return secretsmanager.IndexOf(s) }

// seal encrypts for a secret of this name as the command line does, by what the KMSKey publishes.
func seal(name, value string) string {
	GinkgoHelper()
	public, err := sealing.ParsePublicKey(key.Status.SealingPublicKey)
	Expect(err).NotTo(HaveOccurred())
	text, err := public.Seal(sealing.Scope{
		Kind: "Secret", Account: arn.Account(public.KeyARN), Region: arn.Region(public.KeyARN), Name: name,
	}, secretbytes.Own([]byte(value)))
	Expect(err).NotTo(HaveOccurred())
	return text
}

// sealed is a Secret whose value is sealed.
func sealed(text string) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) { s.Spec.Generate, s.Spec.Sealed = nil, text }
}
