package iam_test

import (
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/gateway/serving"
	"strongroom.dev/strongroom/test/environment"
)

// The script is the one that is run against a whole installation: test/e2e/clients.sh.
var _ = Describe("boto3, unmodified", func() {
	It("does what it does against AWS, presigned URLs too", func() {
		python := ""
		for _, candidate := range []string{"/usr/bin/python3", "python3"} { // Debian's own first, as hack/clients.sh
			if python == "" && exec.CommandContext(ctx, candidate, "-c", "import boto3").Run() == nil {
				python = candidate
			}
		}
		Expect(python).NotTo(BeEmpty(), "there is no boto3: run the tests by `make test`, or hack/clients.sh, which installs it")
		c := newUser("boto", "arn:aws:iam::aws:policy/AdministratorAccess")
		keys, err := c.Options().Credentials.Retrieve(ctx)
		Expect(err).NotTo(HaveOccurred())
		var bundle corev1.ConfigMap
		Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: serving.BundleConfigMapName}, &bundle)).To(Succeed())
		ca := filepath.Join(GinkgoT().TempDir(), "ca.crt")
		Expect(os.WriteFile(ca, []byte(bundle.Data[serving.BundleKey]), 0o600)).To(Succeed())
		script := exec.CommandContext(ctx, python, "../../../test/e2e/boto.py")
		script.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_CA_BUNDLE="+ca, "AWS_DEFAULT_REGION=us-east-1",
			"AWS_ACCESS_KEY_ID="+keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+keys.SecretAccessKey)
		out, err := script.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		Expect(string(out)).To(ContainSubstring("a presigned POST of get_caller_identity"))
	})
})
