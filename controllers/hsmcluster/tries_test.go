//go:build cgo

package hsmcluster_test

import (
	"context"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

// neighbour is an HSMCluster of namespace bank, whose nodes have the same token, and a PIN of its own.
func (n *network) neighbour(name, pin string) *network {
	GinkgoHelper()
	Expect(client.IgnoreAlreadyExists(n.cp.Namespace(ctx, "bank", nil))).To(Succeed())
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: name}, Data: map[string][]byte{"pin": []byte(pin)}}
	Expect(n.cp.Client.Create(ctx, secret)).To(Succeed())
	hc := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: name}, Spec: *n.hc.Spec.DeepCopy()}
	hc.Spec.Size, hc.Spec.PKCS11.PINSecretRef.Name = 2, name
	Expect(n.cp.Client.Create(ctx, hc)).To(Succeed())
	other := &network{passes: n.passes, faults: n.faults, hc: hc}
	other.begins()
	return other
}

// begins lets the nodes run until they answer, and one pass more.
func (n *network) begins() {
	GinkgoHelper()
	n.shut()
	_, _ = n.pass(n.sound, n.hc)
	n.open()
	n.answering(n.hc, hsmpb.State_STATE_UNINITIALIZED)
	_, _ = n.pass(n.sound, n.hc)
}

// tries is the core Secret that counts them.
func (n *network) tries() *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(n.cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: cloudhsm.TokenOf(n.hc).RecordName()}, secret)).To(Succeed())
	return secret
}

// late is where nodes run whose files have an older PIN than the core Secret, as a mounted one has for a while.
type late struct {
	hsmnodes.Host
	pin string
}

func (l late) Apply(ctx context.Context, c hsmnodes.Cluster, f *hsmnodes.Files) ([]hsmnodes.Node, error) {
	older := *f
	older.PIN = secretbytes.Copy([]byte(l.pin))
	return l.Host.Apply(ctx, c, &older)
}

var _ = Describe("HSMClusters of several namespaces that have one token", Ordered, func() {
	var own, other *network
	BeforeAll(func() {
		own = newNetwork()
		own.begins()
		own.settled(own.hc)
	})

	It("try no PIN but the one that the token took last, if it is that of others", func() {
		other = own.neighbour("guest", "guess-CANARY")
		before := own.faults.Calls(GinkgoTB(), "C_Login-user")
		for _, pin := range []string{"guess-2-CANARY", "guess-3-CANARY"} {
			secret := &corev1.Secret{}
			Expect(own.cp.Client.Get(ctx, client.ObjectKey{Namespace: "bank", Name: "guest"}, secret)).To(Succeed())
			secret.Data["pin"] = []byte(pin)
			Expect(own.cp.Client.Update(ctx, secret)).To(Succeed())
			_, _ = own.pass(own.sound, other.hc)
		}
		Expect(own.faults.Calls(GinkgoTB(), "C_Login-user")).To(Equal(before))
		Expect(other.ready()).To(And(ContainSubstring("took another PIN last"), ContainSubstring(`key "pin" of core Secret bank/guest`),
			Not(ContainSubstring("CANARY")), Not(ContainSubstring("strongroom-system/network"))))
	})

	It("log in when they have that one", func() {
		secret := &corev1.Secret{}
		Expect(own.cp.Client.Get(ctx, client.ObjectKey{Namespace: "bank", Name: "guest"}, secret)).To(Succeed())
		secret.Data["pin"] = []byte(hsmtest.PIN)
		Expect(own.cp.Client.Update(ctx, secret)).To(Succeed())
		own.settled(other.hc)
		Expect(other.hc.Status.DomainKeys).To(Equal(own.hc.Status.DomainKeys))
		Expect(string(own.tries().Data["pins.json"])).To(And(ContainSubstring(`"loggedIn":["`+cloudhsm.Identity(own.hc)+`","`+cloudhsm.Identity(other.hc)+`"]`), Not(ContainSubstring(hsmtest.PIN))))
	})

	It("keep each other's right PIN from being locked out by a wrong one", func() {
		own.give("typo-CANARY")
		own.restart()
		_, _ = own.pass(own.sound, own.hc)
		Expect(own.wrong()).To(Equal(1))
		other.restart()
		own.settled(other.hc)
		Expect(own.wrong()).To(BeZero())
		for range 2 {
			_, _ = own.pass(own.sound, own.hc)
		}
		Expect(own.wrong()).To(BeZero(), "it was refused before, and is not tried again since another logged in")
	})

	It("write nothing while the nodes' files are behind, pass after pass", func() {
		own.give(hsmtest.PIN)
		own.faulty.Host = late{own.host, "older-CANARY"}
		DeferCleanup(func() { own.faulty.Host = own.host })
		own.restart()
		_, _ = own.pass(own.faulty, own.hc)
		Expect(own.ready()).To(ContainSubstring("its files are older or newer; it was not tried"))
		before, record := own.hc.ResourceVersion, own.tries().ResourceVersion
		own.writes.FailAt(0, false)
		for range 3 {
			_, _ = own.pass(own.faulty, own.hc)
		}
		Expect(own.writes.Log()).To(BeEmpty())
		Expect([]string{own.hc.ResourceVersion, own.tries().ResourceVersion}).To(Equal([]string{before, record}))
		Expect(own.wrong()).To(BeZero())
	})

	It("log in as soon as their files have it", func() {
		own.settled(own.hc)
	})
})

var _ = Describe("HSMClusters none of which has the right PIN", Ordered, func() {
	It("try each one once between them, and no more than the token bears, whoever is deleted and made again", func() {
		own := newNetwork()
		own.give("wrong-1-CANARY")
		own.begins()
		Expect(own.wrong()).To(Equal(1))
		same := own.neighbour("same", "wrong-1-CANARY")
		Expect(own.wrong()).To(Equal(1), "it is another cluster's, of another namespace, and the same PIN")
		Expect(same.ready()).To(And(ContainSubstring("refused the PIN"), Not(ContainSubstring("strongroom-system/network"))))

		Expect(own.cp.Client.Delete(ctx, own.hc)).To(Succeed())
		_, err := own.pass(own.sound, own.hc)
		Expect(err).NotTo(HaveOccurred())
		again := own.neighbour("again", "wrong-1-CANARY")
		Expect(own.wrong()).To(Equal(1), "the record outlives who made it")
		Expect(again.ready()).To(ContainSubstring("refused the PIN"))

		own.neighbour("second", "wrong-2-CANARY")
		Expect(own.wrong()).To(Equal(2))
		third := own.neighbour("third", "wrong-3-CANARY")
		Expect(own.wrong()).To(Equal(2), "a third might lock it")
		Expect(third.ready()).To(And(ContainSubstring("2 PINs in a row"), ContainSubstring(own.tries().Name)))
		Expect(string(own.tries().Data["pins.json"])).NotTo(ContainSubstring("CANARY"))
	})

	It("count a try whose end nobody saw once more for one that is made again under its name, and wait until that must be over", func() {
		own := newNetwork()
		own.give("wrong-1-CANARY")
		own.shut()
		_, _ = own.pass(own.sound, own.hc)
		own.open()
		own.answering(own.hc, hsmpb.State_STATE_UNINITIALIZED)
		own.writes.FailAt(2, false) // the token has refused it, and nobody could write that down
		_, err := own.pass(own.faulty, own.hc)
		Expect(err).To(MatchError(environment.ErrInjected))
		Expect(own.wrong()).To(Equal(1))

		former := own.hc.DeepCopy()
		Expect(own.cp.Client.Delete(ctx, own.hc)).To(Succeed())
		_, err = own.pass(own.sound, own.hc)
		Expect(err).NotTo(HaveOccurred())
		Expect(own.tokens(own.hc)).NotTo(BeADirectory(), "its nodes have forgotten what they tried")
		own.hc = &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: former.Namespace, Name: former.Name}, Spec: former.Spec}
		Expect(own.cp.Client.Create(ctx, own.hc)).To(Succeed())
		own.begins()
		Expect(own.wrong()).To(Equal(1), "it may be going on")
		Expect(own.ready()).To(ContainSubstring("what came of the last login is not known"))

		later := func() time.Time { return time.Now().Add(cloudhsm.Unseen) }
		own.sound.Now = later
		_, _ = own.pass(own.sound, own.hc)
		Expect(own.wrong()).To(Equal(2))
		Expect(string(own.tries().Data["pins.json"])).To(And(ContainSubstring(`"tries":2`), ContainSubstring(string(own.hc.UID)), Not(ContainSubstring(string(former.UID)))))
		own.give("wrong-2-CANARY")
		for range 3 {
			own.restart()
			_, _ = own.pass(own.sound, own.hc)
		}
		Expect(own.wrong()).To(Equal(2), "a third might lock it")
		Expect(own.ready()).To(ContainSubstring("2 PINs in a row"))
	})

	It("have one record, whichever path of the library they name", func() {
		own := newNetwork()
		link := filepath.Join(GinkgoT().TempDir(), "link.so")
		Expect(os.Symlink(own.faults.Library, link)).To(Succeed())
		own.host.Libraries = append(own.host.Libraries, hsmnodes.Library{Path: link, TokenLabel: "*", Namespace: "bank"})
		own.give("wrong-1-CANARY")
		own.begins()
		Expect(own.wrong()).To(Equal(1))
		by := own.hc.Spec.PKCS11
		by.Library = link
		same := own.neighbour("same", "wrong-1-CANARY")
		Expect(own.wrong()).To(Equal(1))
		Expect(same.ready()).To(ContainSubstring("refused the PIN"))
		own.neighbour("second", "wrong-2-CANARY")
		third := own.neighbour("third", "wrong-3-CANARY")
		Expect(own.wrong()).To(Equal(2), "a third might lock it")
		by.Library = own.faults.Library
		Expect(third.ready()).To(And(ContainSubstring("2 PINs in a row"), ContainSubstring(own.tries().Name)))
	})

	It("tell of a record that cannot be read, and try nothing", func() {
		own := newNetwork()
		broken := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: cloudhsm.TokenOf(own.hc).RecordName()}, Data: map[string][]byte{"pins.json": []byte("{")}}
		Expect(own.cp.Client.Create(ctx, broken)).To(Succeed())
		own.begins()
		Expect(own.faults.Calls(GinkgoTB(), "C_Login-user")).To(BeZero())
		Expect(own.ready()).To(ContainSubstring("restore it from a backup"))
		Expect(own.cp.Client.Delete(ctx, broken)).To(Succeed())
		own.settled(own.hc)
	})
})
