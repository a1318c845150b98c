//go:build cgo

package hsmcluster_test

import (
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	hsmtypes "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2/types"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	gatewayhsm "strongroom.dev/strongroom/internal/gateway/cloudhsm"
	gatewaykms "strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	servicekms "strongroom.dev/strongroom/internal/service/kms"
	envelopes "strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// The whole way of AWS's documentation, by AWS's SDK and by the AWS CLI, to nodes that are processes with SoftHSM.
// https://docs.aws.amazon.com/kms/latest/developerguide/create-keystore.html
var _ = Describe("By the AWS APIs", Ordered, func() {
	const namespace = "treasury"
	var (
		door  *environment.Door
		hsms  *sdk.Client
		kms   *awskms.Client
		id    *string // of the cluster
		store *string // of the custom key store
		key   *string
		blob  []byte
	)

	BeforeAll(func() {
		Expect(cp.Namespace(ctx, namespace, nil)).To(Succeed())
		world := &environment.World{ControlPlane: cp, Namespace: namespace}
		door = world.Open(gatewayhsm.New(gatewayhsm.Dependencies{Clusters: op.Services.CloudHSM}),
			gatewaykms.New(gatewaykms.Dependencies{KMS: op.Services.KMS, KeyStores: op.Services.CloudHSM, Authorities: op.Services.Authorities}))
		config := door.Config(environment.Region, `"Action":"*","Resource":"*"`)
		hsms, kms = sdk.NewFromConfig(config), awskms.NewFromConfig(config)
	})

	described := func() hsmtypes.Cluster {
		GinkgoHelper()
		out, err := hsms.DescribeClusters(ctx, &sdk.DescribeClustersInput{Filters: map[string][]string{"clusterIds": {*id}}})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Clusters).To(HaveLen(1))
		return out.Clusters[0]
	}
	becomes := func(state hsmtypes.ClusterState) {
		GinkgoHelper()
		Eventually(func() hsmtypes.ClusterState { return described().State }).Should(Equal(state))
	}
	added := func() *string {
		GinkgoHelper()
		out, err := hsms.CreateHsm(ctx, &sdk.CreateHsmInput{ClusterId: id, AvailabilityZone: aws.String("us-east-1a")})
		Expect(err).NotTo(HaveOccurred())
		return out.Hsm.HsmId
	}
	object := func() *v1alpha1.HSMCluster {
		GinkgoHelper()
		found, err := op.Services.CloudHSM.Find(ctx, namespace, environment.Region, *id)
		Expect(err).NotTo(HaveOccurred())
		Expect(found).NotTo(BeNil())
		return refresh(found.DeepCopy())
	}
	refused := func(err error, code string) {
		GinkgoHelper()
		var api smithy.APIError
		Expect(errors.As(err, &api)).To(BeTrue(), "%v is no error of AWS", err)
		Expect(api.ErrorCode()).To(Equal(code), "%v", err)
	}
	stateOfKey := func() types.KeyState {
		GinkgoHelper()
		out, err := kms.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: key})
		Expect(err).NotTo(HaveOccurred())
		return out.KeyMetadata.KeyState
	}
	connection := func() types.ConnectionStateType {
		GinkgoHelper()
		out, err := kms.DescribeCustomKeyStores(ctx, &awskms.DescribeCustomKeyStoresInput{CustomKeyStoreId: store})
		Expect(err).NotTo(HaveOccurred())
		return out.CustomKeyStores[0].ConnectionState
	}

	It("a cluster waits for its first HSM, and initialises itself with it", func() {
		out, err := hsms.CreateCluster(ctx, &sdk.CreateClusterInput{HsmType: aws.String("hsm2m.medium"), SubnetIds: []string{"subnet-12345678"}})
		Expect(err).NotTo(HaveOccurred())
		id = out.Cluster.ClusterId
		becomes(hsmtypes.ClusterStateUninitialized)
		hc := object()
		Eventually(is(hc, v1alpha1.ConditionAvailable, metav1.ConditionFalse)).Should(Succeed())
		ready(hc)
		_, err = kms.CreateCustomKeyStore(ctx, &awskms.CreateCustomKeyStoreInput{
			CustomKeyStoreName: aws.String("early"), CloudHsmClusterId: id, TrustAnchorCertificate: &hc.Status.TrustAnchorCertificate,
		})
		refused(err, "CloudHsmClusterNotActiveException")
		hsm := added()
		becomes(hsmtypes.ClusterStateActive)
		Expect(described().Hsms).To(ConsistOf(And(HaveField("HsmId", HaveValue(Equal(*hsm))), HaveField("State", hsmtypes.HsmStateActive))))
		ready(hc)
		Expect(hc.Status.DomainKeys).To(HaveLen(1))
	})

	It("is made a custom key store by who knows its certificate, and is not connected yet", func() {
		anchor := described().Certificates.ClusterCertificate
		in := func(name string, change func(*awskms.CreateCustomKeyStoreInput)) error {
			asked := &awskms.CreateCustomKeyStoreInput{
				CustomKeyStoreName: &name, CloudHsmClusterId: id, TrustAnchorCertificate: anchor, KeyStorePassword: aws.String("kmsuser's secret"),
			}
			change(asked)
			out, err := kms.CreateCustomKeyStore(ctx, asked)
			if err == nil {
				store = out.CustomKeyStoreId
			}
			return err
		}
		other, err := os.ReadFile(filepath.Join(environment.Root(), "config", "samples", "hsmcluster.yaml"))
		Expect(err).NotTo(HaveOccurred())
		refused(in("vault", func(in *awskms.CreateCustomKeyStoreInput) {
			in.TrustAnchorCertificate = aws.String(string(other)[:100])
		}), "IncorrectTrustAnchorException")
		refused(in("vault", func(in *awskms.CreateCustomKeyStoreInput) { in.CloudHsmClusterId = aws.String("cluster-aaaaaaaaaaa") }), "CloudHsmClusterNotFoundException")
		Expect(in("vault", func(*awskms.CreateCustomKeyStoreInput) {})).To(Succeed())
		refused(in("vault", func(*awskms.CreateCustomKeyStoreInput) {}), "CloudHsmClusterInUseException")
		Expect(door.Text()).NotTo(ContainSubstring("kmsuser's secret"), "the record does not tell the password")
		Expect(connection()).To(Equal(types.ConnectionStateTypeDisconnected))
		_, err = kms.CreateKey(ctx, &awskms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm, CustomKeyStoreId: store})
		refused(err, "CustomKeyStoreInvalidStateException")
	})

	It("has keys that are made and used in it, once it is connected", func() {
		_, err := kms.ConnectCustomKeyStore(ctx, &awskms.ConnectCustomKeyStoreInput{CustomKeyStoreId: store})
		Expect(err).NotTo(HaveOccurred())
		Expect(connection()).To(Equal(types.ConnectionStateTypeConnected))
		made, err := kms.CreateKey(ctx, &awskms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm, CustomKeyStoreId: store, Description: aws.String("in hardware")})
		Expect(err).NotTo(HaveOccurred())
		Expect(made.KeyMetadata).To(And(HaveField("Origin", types.OriginTypeAwsCloudhsm), HaveField("KeyState", types.KeyStateEnabled),
			HaveField("CustomKeyStoreId", HaveValue(Equal(*store))), HaveField("CloudHsmClusterId", HaveValue(Equal(*id)))))
		key = made.KeyMetadata.KeyId
		out, err := kms.Encrypt(ctx, &awskms.EncryptInput{KeyId: key, Plaintext: []byte("attack at dawn")})
		Expect(err).NotTo(HaveOccurred())
		blob = out.CiphertextBlob
		opened, err := kms.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: blob})
		Expect(err).NotTo(HaveOccurred())
		Expect(opened.Plaintext).To(Equal([]byte("attack at dawn")))
		Expect(object().Status.DomainKeys).To(HaveLen(1))
	})

	It("keeps its keys from all use from the moment that it is disconnected, until it is connected again", func() {
		_, err := kms.DisconnectCustomKeyStore(ctx, &awskms.DisconnectCustomKeyStoreInput{CustomKeyStoreId: store})
		Expect(err).NotTo(HaveOccurred())
		_, err = kms.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: blob})
		refused(err, "KMSInvalidStateException") // at once, whatever the key's state says yet
		_, err = kms.GenerateDataKey(ctx, &awskms.GenerateDataKeyInput{KeyId: key, KeySpec: types.DataKeySpecAes256})
		refused(err, "KMSInvalidStateException")
		Eventually(stateOfKey).Should(Equal(types.KeyStateUnavailable))
		_, err = kms.Encrypt(ctx, &awskms.EncryptInput{KeyId: key, Plaintext: []byte("x")})
		refused(err, "KMSInvalidStateException")
		_, err = kms.CreateKey(ctx, &awskms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm, CustomKeyStoreId: store})
		refused(err, "CustomKeyStoreInvalidStateException")
		_, err = kms.DisconnectCustomKeyStore(ctx, &awskms.DisconnectCustomKeyStoreInput{CustomKeyStoreId: store})
		refused(err, "CustomKeyStoreInvalidStateException")
		_, err = kms.DeleteCustomKeyStore(ctx, &awskms.DeleteCustomKeyStoreInput{CustomKeyStoreId: store})
		refused(err, "CustomKeyStoreHasCMKsException")
		_, err = kms.UpdateCustomKeyStore(ctx, &awskms.UpdateCustomKeyStoreInput{CustomKeyStoreId: store, NewCustomKeyStoreName: aws.String("floor two")})
		Expect(err).NotTo(HaveOccurred())

		k := environment.KMSKey(namespace, *key)
		Expect(refresh(k).Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionReady),
			HaveField("Reason", v1alpha1.ReasonCustomKeyStoreUnavailable), HaveField("Message", ContainSubstring("disconnected")))))
		_, err = kms.ConnectCustomKeyStore(ctx, &awskms.ConnectCustomKeyStoreInput{CustomKeyStoreId: store})
		Expect(err).NotTo(HaveOccurred())
		Eventually(stateOfKey).Should(Equal(types.KeyStateEnabled), "it comes back by itself")
		opened, err := kms.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: blob})
		Expect(err).NotTo(HaveOccurred())
		Expect(opened.Plaintext).To(Equal([]byte("attack at dawn")))
	})

	It("loses its HSMs, and has its keys again with the next one: the tokens stay", func() {
		before := object().Status.DomainKeys
		hsm := described().Hsms[0].HsmId
		_, err := hsms.DeleteHsm(ctx, &sdk.DeleteHsmInput{ClusterId: id, HsmId: hsm})
		Expect(err).NotTo(HaveOccurred())
		becomes(hsmtypes.ClusterStateInitialized)
		Eventually(func() []hsmtypes.Hsm { return described().Hsms }).Should(BeEmpty())
		Expect(connection()).To(Equal(types.ConnectionStateTypeFailed))
		_, err = kms.ConnectCustomKeyStore(ctx, &awskms.ConnectCustomKeyStoreInput{CustomKeyStoreId: store})
		refused(err, "CustomKeyStoreInvalidStateException")
		_, err = kms.CreateKey(ctx, &awskms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm, CustomKeyStoreId: store})
		refused(err, "CloudHsmClusterInvalidConfigurationException")
		_, err = kms.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: blob})
		Expect(err).To(HaveOccurred())
		_, err = hsms.DeleteCluster(ctx, &sdk.DeleteClusterInput{ClusterId: id})
		refused(err, "CloudHsmInvalidRequestException") // the key is in it
		Expect(*added()).To(Equal(*hsm))
		becomes(hsmtypes.ClusterStateActive)
		Expect(object().Status.DomainKeys).To(Equal(before))
		Eventually(func() error {
			_, err := kms.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: blob})
			return err
		}).Should(Succeed())
	})

	It("is all there for the AWS CLI", func() {
		program := "/usr/bin/aws" // Debian's own
		if _, err := os.Stat(program); err != nil {
			program = "aws"
		}
		bundle := filepath.Join(GinkgoT().TempDir(), "ca.crt")
		Expect(os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: door.Certificate().Raw}), 0o600)).To(Succeed())
		credentials, err := door.Config(environment.Region, `"Action":"*","Resource":"*"`).Credentials.Retrieve(ctx)
		Expect(err).NotTo(HaveOccurred())
		cli := func(arguments ...string) (string, error) {
			command := exec.CommandContext(ctx, program, append([]string{"--endpoint-url", door.URL, "--ca-bundle", bundle, "--output", "text", "--region", environment.Region}, arguments...)...)
			command.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+credentials.SecretAccessKey,
				"AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=2")
			out, err := command.CombinedOutput()
			return strings.TrimSpace(string(out)), err
		}
		Expect(cli("cloudhsmv2", "describe-clusters", "--filters", "clusterIds="+*id, "--query", "Clusters[].[ClusterId,State,Hsms[0].State]")).
			To(Equal(*id + "\tACTIVE\tACTIVE"))
		second, err := cli("cloudhsmv2", "create-cluster", "--hsm-type", "hsm1.medium", "--subnet-ids", "subnet-12345678", "--query", "Cluster.ClusterId")
		Expect(err).NotTo(HaveOccurred(), second)
		said, err := cli("kms", "create-custom-key-store", "--custom-key-store-name", "second", "--cloud-hsm-cluster-id", second,
			"--trust-anchor-certificate", *described().Certificates.ClusterCertificate, "--key-store-password", "kmsPswd123")
		Expect(err).To(HaveOccurred())
		Expect(said).To(ContainSubstring("(CloudHsmClusterNotActiveException) when calling the CreateCustomKeyStore operation"))
		said, err = cli("cloudhsmv2", "delete-hsm", "--cluster-id", second, "--hsm-id", "hsm-aaaaaaaaaaa")
		Expect(err).To(HaveOccurred())
		Expect(said).To(ContainSubstring("(CloudHsmResourceNotFoundException) when calling the DeleteHsm operation: " + second + ": the cluster has no such HSM"))
		Expect(cli("cloudhsmv2", "delete-cluster", "--cluster-id", second, "--query", "Cluster.State")).To(Equal("DELETE_IN_PROGRESS"))
		Expect(cli("kms", "describe-custom-key-stores", "--custom-key-store-name", "floor two", "--query", "CustomKeyStores[].[CustomKeyStoreId,ConnectionState]")).
			To(Equal(*store + "\tCONNECTED"))
	})

	// The object comes first, then the Envelope, then the index that commits it.
	It("has a key that is whole, wherever its making ended", func() {
		faulty := &environment.FaultyClient{Client: op.GetClient()}
		crashing := *op.Services.KMS
		crashing.Client, crashing.Store = faulty, &envelopes.Store{Client: faulty, Live: op.GetAPIReader()}
		hc := object()
		for n := 1; n <= 3; n++ {
			for _, after := range []bool{false, true} {
				made := servicekms.New(namespace, v1alpha1.KMSKeySpec{Origin: v1alpha1.KeyOriginCloudHSM, CustomKeyStoreRef: &v1alpha1.CustomKeyStoreReference{Name: hc.Name}})
				k := environment.KMSKey(namespace, made.Name)
				faulty.FailAt(n, after)
				_, err := crashing.Create(ctx, made)
				if err != nil { // it is nil if the controller was faster, and left no such write to do
					Expect(err).To(MatchError(environment.ErrInjected))
				}
				if n == 1 && !after {
					Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k))).To(BeTrue())
					continue
				}
				ready(k)
				Expect(k.Status.KeyMaterials).To(HaveLen(1))
				_, err = kms.Encrypt(ctx, &awskms.EncryptInput{KeyId: &made.Name, Plaintext: []byte("x")})
				Expect(err).NotTo(HaveOccurred())
				Expect(cp.Client.Delete(ctx, k)).To(Succeed())
				Eventually(func() bool { return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)) }).Should(BeTrue())
			}
		}
	})

	It("goes in the order that AWS wants: keys, store, HSMs, cluster", func() {
		_, err := kms.DeleteCustomKeyStore(ctx, &awskms.DeleteCustomKeyStoreInput{CustomKeyStoreId: store})
		refused(err, "CustomKeyStoreHasCMKsException")
		Expect(cp.Client.Delete(ctx, environment.KMSKey(namespace, *key))).To(Succeed())
		Eventually(func() error {
			_, err := kms.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: key})
			return err
		}).Should(MatchError(ContainSubstring("NotFoundException")))
		_, err = kms.DeleteCustomKeyStore(ctx, &awskms.DeleteCustomKeyStoreInput{CustomKeyStoreId: store})
		refused(err, "CustomKeyStoreInvalidStateException")
		_, err = kms.DisconnectCustomKeyStore(ctx, &awskms.DisconnectCustomKeyStoreInput{CustomKeyStoreId: store})
		Expect(err).NotTo(HaveOccurred())
		_, err = kms.DeleteCustomKeyStore(ctx, &awskms.DeleteCustomKeyStoreInput{CustomKeyStoreId: store})
		Expect(err).NotTo(HaveOccurred())
		_, err = kms.DescribeCustomKeyStores(ctx, &awskms.DescribeCustomKeyStoresInput{CustomKeyStoreId: store})
		refused(err, "CustomKeyStoreNotFoundException")
		hc := object()
		_, err = hsms.DeleteHsm(ctx, &sdk.DeleteHsmInput{ClusterId: id, HsmId: aws.String(cloudhsm.HSMID(hc.Namespace, hc.Name, 0))})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error {
			_, err := hsms.DeleteCluster(ctx, &sdk.DeleteClusterInput{ClusterId: id})
			return err
		}).Should(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc.DeepCopy()))
		}).
			WithTimeout(30 * time.Second).Should(BeTrue())
	})
})
