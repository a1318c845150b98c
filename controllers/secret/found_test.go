package secret_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// A pass that dies after the apply of a first projection and before its restarts finds the projection in sync and no former
// status, and so never restarts.
var _ = Describe("A death at any write of an adoption", func() {
	for _, after := range []bool{false, true} {
		It("restarts once", func() {
			scenario{
				prepare: func(name string) *v1alpha1.Secret {
					create(coreSecret(name, map[string]string{"keys": "old"}))
					s := environmentSecret(name, policy(v1alpha1.CreationPolicyAdopt), template("keys", both), workloads(name))
					create(s)
					return s
				},
				wire: []string{"create", "apply", "apply", "apply", "status"}, versions: 1,
				check: func(s *v1alpha1.Secret) { generations(s.Name, 2) },
			}.survive(after)
		})
	}
})

// The API server answers 409 to an apply also when others write the object again and again (it gives up after 5 tries), which
// Restart takes for a workload that was made anew: the restart is lost for good, since the pass commits.
var _ = Describe("A conflict on the write of a workload", func() {
	It("does not lose the restart", func() {
		met := map[string]bool{}
		r, c := contestedBy(func(_ int, what string) bool {
			defer func() { met[what] = true }()
			return !met[what] && what == "apply *v1.DeploymentApplyConfiguration"
		})
		s := made("db", template("keys", both), workloads("db"))
		persist(r, c, rotate(s))
		Expect(s.Status.Versions).To(HaveLen(2))
		generations("db", 2)
	})
})
