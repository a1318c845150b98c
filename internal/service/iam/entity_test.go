package iam_test

import (
	"errors"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/iam"
)

// create makes a group as the API does.
func create(name string) (*v1alpha1.IAMGroup, error) {
	g := &v1alpha1.IAMGroup{ObjectMeta: meta(""), Spec: v1alpha1.IAMGroupSpec{Name: name}}
	made, err := iam.Create(ctx, service, g, name, func(g *v1alpha1.IAMGroup) { g.Spec.Name = "" })
	if err == nil {
		world.Seen(made)
	}
	return made, err
}

var _ = Describe("An entity", func() {
	It("has its kind's ARN, unique id, policies and indexes", func() {
		for e, want := range map[iam.Entity][2]string{
			&v1alpha1.IAMUser{Spec: v1alpha1.IAMUserSpec{Name: "X", Path: "/p/"}}:     {"user/p/X", "AIDA"},
			&v1alpha1.IAMRole{Spec: v1alpha1.IAMRoleSpec{Name: "X", Path: "/p/"}}:     {"role/p/X", "AROA"},
			&v1alpha1.IAMGroup{Spec: v1alpha1.IAMGroupSpec{Name: "X", Path: "/p/"}}:   {"group/p/X", "AGPA"},
			&v1alpha1.IAMPolicy{Spec: v1alpha1.IAMPolicySpec{Name: "X", Path: "/p/"}}: {"policy/p/X", "ANPA"},
		} {
			e.SetUID("0b0b6d4e-0a3c-4a53-9d0c-6f4b7a4f5a11")
			Expect(iam.ARNOf(account, e)).To(Equal("arn:aws:iam::" + account + ":" + want[0]))
			Expect(iam.UniqueIDOf(e)).To(HavePrefix(want[1]))
			_, isPolicy := e.(*v1alpha1.IAMPolicy)
			_, isGroup := e.(*v1alpha1.IAMGroup)
			Expect(iam.PoliciesOf(e) == nil).To(Equal(isPolicy))
			Expect(iam.PermissionsOf(e) == nil).To(Equal(isPolicy || isGroup))
			Expect(iam.IndexName(e)).To(Equal([]string{"x"}), "names have no case")
			Expect(iam.IndexARN(e)).To(BeNil())
			e.GetIAMStatus().ARN = "arn"
			Expect(iam.IndexARN(e)).To(Equal([]string{"arn"}))
		}
		for _, index := range []client.IndexerFunc{iam.IndexName, iam.IndexARN, iam.IndexAccessKey, iam.IndexGroup} {
			Expect(index(&v1alpha1.Envelope{})).To(BeNil())
		}
	})

	It("is found by its name whatever its case: the oldest of several, and none that is being deleted", func() {
		_, ok, err := iam.ByName[*v1alpha1.IAMGroup](ctx, service, world.Namespace, "readers")
		Expect(err).NotTo(HaveOccurred())
		Expect(ok).To(BeFalse())
		older := group("z", v1alpha1.IdentityPolicies{})
		world.Update(older, func() { older.Spec.Name = "Readers"; older.Finalizers = []string{"example.com/held"} })
		DeferCleanup(func() {
			world.Refresh(older)
			older.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, older)).To(Succeed())
		})
		younger := group("a", v1alpha1.IdentityPolicies{})
		world.Update(younger, func() { younger.Spec.Name = "rEADERS" })
		found := func() string {
			GinkgoHelper()
			g, ok, err := iam.ByName[*v1alpha1.IAMGroup](ctx, service, world.Namespace, "READERS")
			Expect(err).NotTo(HaveOccurred())
			Expect(ok).To(BeTrue())
			return g.Name
		}
		if older.CreationTimestamp.Before(&younger.CreationTimestamp) { // of one second, the name decides
			Expect(found()).To(Equal("z"))
		}
		Expect(world.ControlPlane.Client.Delete(ctx, older)).To(Succeed())
		world.Refresh(older)
		world.Seen(older)
		Expect(found()).To(Equal("a"))
		_, ok, err = iam.ByName[*v1alpha1.IAMGroup](ctx, service, "default", "readers")
		Expect(err).NotTo(HaveOccurred())
		Expect(ok).To(BeFalse(), "another account's")
	})

	It("has its AWS name as its object's if that can be, and else one that derives from it", func() {
		plain, err := create("readers")
		Expect(err).NotTo(HaveOccurred())
		Expect([]string{plain.Name, plain.Spec.Name}).To(Equal([]string{"readers", ""}))
		other, err := create("Bob+Alice=ok,really.@home_1")
		Expect(err).NotTo(HaveOccurred())
		Expect(other.Name).To(MatchRegexp(`^bob-alice-ok-really--home-1-[a-z2-7]{16}$`))
		Expect(other.AWSName()).To(Equal("Bob+Alice=ok,really.@home_1"))
		long, err := create(strings.Repeat("L", 128))
		Expect(err).NotTo(HaveOccurred())
		Expect(len(long.Name)).To(BeNumerically("<=", 63))
		odd, err := create("@@@")
		Expect(err).NotTo(HaveOccurred())
		Expect(odd.Name).To(MatchRegexp(`^[a-z2-7]{16}$`))
		for _, again := range []string{"readers", "READERS", "bob+alice=ok,really.@home_1"} {
			_, err := create(again)
			Expect(err).To(MatchError(iam.ErrExists), again)
		}
	})

	It("that was renamed leaves its former name to another, though not its object's", func() {
		for _, name := range []string{"readers", "Readers+"} {
			g, err := create(name)
			Expect(err).NotTo(HaveOccurred())
			world.Update(g, func() { g.Spec.Name = "was-" + g.Name })
			again, err := create(name)
			Expect(err).NotTo(HaveOccurred())
			Expect(again.AWSName()).To(Equal(name))
			Expect(again.Name).NotTo(Equal(g.Name))
			_, err = create(name)
			Expect(err).To(MatchError(iam.ErrExists))
		}
	})

	It("of one name is made by one of two replicas that have not seen each other's", func() {
		g := &v1alpha1.IAMGroup{ObjectMeta: meta("readers")} // not yet in the cache, at worst
		Expect(world.ControlPlane.Client.Create(ctx, g)).To(Succeed())
		_, err := iam.Create(ctx, service, &v1alpha1.IAMGroup{ObjectMeta: meta(""), Spec: v1alpha1.IAMGroupSpec{Name: "readers"}}, "readers",
			func(g *v1alpha1.IAMGroup) { g.Spec.Name = "" })
		Expect(err).To(MatchError(iam.ErrExists))
	})

	It("is changed as it is, however old what the caller has read", func() {
		u := user("alice", v1alpha1.IdentityPolicies{})
		stale := u.DeepCopy()
		world.Update(u, func() { u.Spec.Tags = []v1alpha1.Tag{{Key: "a"}} })
		tries := 0
		Expect(iam.Change(ctx, service, stale, func(live *v1alpha1.IAMUser) error {
			if tries++; tries == 1 { // somebody else writes in between
				Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
				u.Spec.Tags = append(u.Spec.Tags, v1alpha1.Tag{Key: "b"})
				Expect(world.ControlPlane.Client.Update(ctx, u)).To(Succeed())
			}
			live.Spec.Tags = append(live.Spec.Tags, v1alpha1.Tag{Key: "c"})
			return nil
		})).To(Succeed())
		Expect(tries).To(Equal(2))
		world.Refresh(u)
		Expect(u.Spec.Tags).To(Equal([]v1alpha1.Tag{{Key: "a"}, {Key: "b"}, {Key: "c"}}))
	})

	It("is not changed by a change that fails, nor when it is gone or another, nor deleted then", func() {
		u := user("alice", v1alpha1.IdentityPolicies{})
		version := u.ResourceVersion
		failed := errors.New("no")
		Expect(iam.Change(ctx, service, u, func(*v1alpha1.IAMUser) error { return failed })).To(MatchError(failed))
		world.Refresh(u)
		Expect(u.ResourceVersion).To(Equal(version))

		g := group("readers", v1alpha1.IdentityPolicies{})
		former := g.DeepCopy()
		keep := func(*v1alpha1.IAMGroup) error { return nil }
		world.Remove(g)
		Expect(iam.Change(ctx, service, former, keep)).To(MatchError(iam.ErrGone))
		Expect(iam.Delete(ctx, service, former)).To(Succeed(), "it is gone, as was asked")
		another := group("readers", v1alpha1.IdentityPolicies{})
		Expect(iam.Change(ctx, service, former, keep)).To(MatchError(iam.ErrGone))
		Expect(iam.Delete(ctx, service, former)).NotTo(Succeed())
		world.Refresh(another)
		Expect(iam.Delete(ctx, service, another)).To(Succeed())
	})
})

var _ = Describe("A membership", func() {
	It("is one write of the user, and not made in a group that is gone", func() {
		u, g := user("alice", v1alpha1.IdentityPolicies{}), group("readers", v1alpha1.IdentityPolicies{})
		Expect(service.AddUserToGroup(ctx, u, g)).To(Succeed())
		Expect(service.AddUserToGroup(ctx, u, g)).To(Succeed())
		world.Refresh(u)
		world.Seen(u)
		Expect(u.Spec.Groups).To(Equal([]string{"readers"}))
		members, err := service.Members(ctx, g)
		Expect(err).NotTo(HaveOccurred())
		Expect(members).To(HaveLen(1))
		Expect(service.DeleteGroup(ctx, g)).To(MatchError(iam.ErrGroupNotEmpty))
		Expect(service.RemoveUserFromGroup(ctx, u, g)).To(Succeed())
		Expect(service.RemoveUserFromGroup(ctx, u, g)).To(Succeed())
		Expect(service.DeleteGroup(ctx, g)).To(Succeed())
		Expect(service.AddUserToGroup(ctx, u, g)).To(MatchError(iam.ErrNoGroup))
		group("readers", v1alpha1.IdentityPolicies{})
		Expect(service.AddUserToGroup(ctx, u, g)).To(MatchError(iam.ErrNoGroup), "another under its name")
		world.Refresh(u)
		Expect(u.Spec.Groups).To(BeEmpty())
	})

	It("that another replica made a moment ago keeps the group", func() {
		u, g := user("alice", v1alpha1.IdentityPolicies{}), group("readers", v1alpha1.IdentityPolicies{})
		u.Spec.Groups = []string{"readers"}
		Expect(world.ControlPlane.Client.Update(ctx, u)).To(Succeed()) // and not waited for
		Expect(service.DeleteGroup(ctx, g)).To(MatchError(iam.ErrGroupNotEmpty))
	})

	It("is one of ten, and ends with the user", func() {
		u := user("alice", v1alpha1.IdentityPolicies{})
		world.Update(u, func() { u.Spec.Groups = strings.Split("a b c d e f g h i j", " ") })
		g := group("readers", v1alpha1.IdentityPolicies{})
		Expect(service.AddUserToGroup(ctx, u, g)).To(MatchError(iam.ErrTooManyGroups))
		groups, err := service.GroupsOf(ctx, u)
		Expect(err).NotTo(HaveOccurred())
		Expect(groups).To(BeEmpty(), "none of them is there")
		former := u.DeepCopy()
		world.Update(u, func() { u.Finalizers = nil })
		world.Remove(u)
		Expect(service.AddUserToGroup(ctx, former, g)).To(MatchError(iam.ErrGone))
		Expect(service.RemoveUserFromGroup(ctx, former, g)).To(MatchError(iam.ErrGone))
	})
})

var _ = Describe("The looking up of a role by its ARN", func() {
	It("finds the account's own, and none that is gone or whose account was lost", func() {
		r := role("shop", v1alpha1.IdentityPolicies{})
		found, err := service.RoleByARN(ctx, r.Status.ARN)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.UID).To(Equal(r.UID))
		Expect(service.RoleByARN(ctx, "arn:aws:iam::"+account+":role/none")).To(BeNil())
		stolen := &v1alpha1.IAMRole{ObjectMeta: meta("shop")}
		stolen.Namespace = world.NewNamespace()
		world.Create(stolen)
		stolen.Status.ARN = r.Status.ARN // which only Strongroom may write
		Expect(world.ControlPlane.Client.Status().Update(ctx, stolen)).To(Succeed())
		world.Seen(stolen)
		found, err = service.RoleByARN(ctx, r.Status.ARN)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.UID).To(Equal(r.UID))
		world.Remove(r)
		Expect(service.RoleByARN(ctx, r.Status.ARN)).To(BeNil())
	})
})
