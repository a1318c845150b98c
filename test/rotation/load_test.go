package rotation_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("Workloads that log in all the time", func() {
	DescribeTable("are never refused during twenty rotations", func(of pair) {
		use(of.database)
		s := credential(of.strategy)
		reconcile(s)
		var logins, refused, late, begun atomic.Int64
		var why atomic.Value                 // of the last refusal: a wrong password, or a database that is busy
		key := client.ObjectKeyFromObject(s) // s itself is read again by each pass
		done := make(chan struct{})
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				defer GinkgoRecover()
				for {
					select {
					case <-done:
						return
					default:
					}
					target, read := &corev1.Secret{}, begun.Load()
					Expect(world.ControlPlane.Client.Get(ctx, key, target)).To(Succeed())
					// As long as the kubelet may take to show a changed Secret, in small.
					time.Sleep(20 * time.Millisecond)
					logins.Add(1)
					if err := opens(login{string(target.Data["username"]), string(target.Data["password"])}); err != nil {
						// The rotation after the next takes a credential from those who have not read since. Here that comes in a
						// second and not in a month, and a busy machine may keep a goroutine waiting for so long.
						if begun.Load()-read < 2 {
							refused.Add(1)
							why.Store(err.Error())
						} else {
							late.Add(1)
						}
					}
				}
			})
		}
		for n := range 20 {
			before := projected(s)
			begun.Add(1)
			ask(s, fmt.Sprint("rotation ", n))
			reconcile(s)
			Expect(projected(s)).NotTo(Equal(before))
			time.Sleep(50 * time.Millisecond)
		}
		close(done)
		workers.Wait()
		Expect(refused.Load()).To(BeZero(), "of %d logins: %v", logins.Load(), why.Load())
		Expect(logins.Load()-late.Load()).To(BeNumerically(">", 40), "nobody logged in")
		AddReportEntry("logins", logins.Load())
	},
		Entry("of alternating users of PostgreSQL", pair{postgreSQL, v1alpha1.RotationAlternatingUsers}),
		Entry("of alternating users of MariaDB", pair{mariaDB, v1alpha1.RotationAlternatingUsers}),
		Entry("of alternating users of MongoDB", pair{mongoDB, v1alpha1.RotationAlternatingUsers}),
		Entry("of alternating users of Redis", pair{redis, v1alpha1.RotationAlternatingUsers}),
		Entry("of a single user of Redis, whose former password stays good", pair{redis, v1alpha1.RotationSingleUser}),
	)
})
