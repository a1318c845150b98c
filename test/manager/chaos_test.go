package manager_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("A manager that is killed at random moments", func() {
	It("leaves nothing that the next one does not bring to agreement", func() {
		const secrets, kills = 30, 10
		seed := uint64(GinkgoRandomSeed())
		By(fmt.Sprintf("seed %d", seed))
		r := rand.New(rand.NewPCG(seed, 0))
		cfg, host := administrator()
		config := kubeconfig(cfg, host)

		all := make([]*v1alpha1.Secret, secrets)
		asked := make([]int, secrets)
		p := launch(config, "--leader-elect=false")
		for i := range kills {
			// Each lives to see Secrets that are new, and rotations of those and of older ones.
			const each = secrets / kills
			for k := i * each; k < (i+1)*each; k++ {
				all[k] = create(fmt.Sprintf("s-%d", k))
			}
			for range 2 * each {
				k := r.IntN((i + 1) * each)
				asked[k]++
				rotate(all[k], fmt.Sprint(asked[k]))
			}
			// The moment is what the spec is about: from before the cache is filled until after all is done.
			select {
			case err := <-p.ended:
				Fail(fmt.Sprintf("it ended by itself: %v\n%s", err, p.log))
			case <-time.After(time.Duration(r.IntN(2500)) * time.Millisecond):
			}
			p.kill()
			p = launch(config, "--leader-elect=false")
		}
		for k, s := range all { // each has something to do for the last one, too
			asked[k]++
			rotate(s, fmt.Sprint(asked[k]))
		}
		for _, s := range all {
			Eventually(settled(s), "60s").Should(BeTrue(), "%s: %+v", s.Name, s.Status)
		}
		p.stop()
		op := reader()
		for k, s := range all {
			agree(op, s, asked[k])
		}
	})
})
