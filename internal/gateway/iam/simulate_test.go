package iam_test

import (
	"context"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// manyPatterns is a policy of so many patterns that cost the most: each is tried at each place of a resource's ARN.
func manyPatterns(n int) string {
	resource := `"arn:aws:s3:::*` + strings.Repeat("?a", 100) + `b"`
	return `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":[` +
		strings.TrimSuffix(strings.Repeat(resource+",", n), ",") + `]}}`
}

// largest is a simulation of which one page took tens of seconds.
func largest() *sdk.SimulateCustomPolicyInput {
	in := &sdk.SimulateCustomPolicyInput{MaxItems: ptrTo(int32(1000))}
	for range 10 {
		in.PolicyInputList = append(in.PolicyInputList, manyPatterns(5))
	}
	for i := range 50 {
		in.ActionNames = append(in.ActionNames, "s3:Get"+strconv.Itoa(i))
	}
	for i := range 20 {
		in.ResourceArns = append(in.ResourceArns, "arn:aws:s3:::"+strconv.Itoa(i)+strings.Repeat("a", 1800))
	}
	return in
}

func ptrTo[T any](v T) *T { return &v }

var _ = Describe("The cost of a simulation", func() {
	It("is counted before it begins, and one that is too large is refused with the numbers", func() {
		began := time.Now()
		_, err := admin.SimulateCustomPolicy(ctx, largest())
		Expect(code(err)).To(Equal("InvalidInput"))
		Expect(message(err)).To(MatchRegexp(`^The simulation is too large: after \d+ of 1000 questions .* more than 134217728 bytes; one question costs \d+\. Ask with a smaller MaxItems`))
		Expect(time.Since(began)).To(BeNumerically("<", 2*time.Second))
	})

	It("counts contexts and the policies of the principal, and a smaller page is answered", func() {
		in := &sdk.SimulatePrincipalPolicyInput{PolicySourceArn: s("arn:aws:iam::" + account + ":user/admin"), ActionNames: []string{"s3:GetObject"}}
		values := make([]string, 2000)
		for i := range values {
			values[i] = strings.Repeat("v", 20) + strconv.Itoa(i)
		}
		pattern := strings.TrimSuffix(strings.Repeat(`"*??????????????????v????x",`, 1000), ",")
		in.PolicyInputList = []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringLike":{"test:key":[` + pattern + `]}}}}`}
		in.ContextEntries = []types.ContextEntry{{ContextKeyName: s("test:key"), ContextKeyType: types.ContextKeyTypeEnumStringList, ContextKeyValues: values}}
		_, err := admin.SimulatePrincipalPolicy(ctx, in)
		Expect(code(err)).To(Equal("InvalidInput"))
		Expect(message(err)).To(ContainSubstring("The simulation is too large: after 0 of 1 questions"))
		in.ContextEntries[0].ContextKeyValues = values[:10]
		out, err := admin.SimulatePrincipalPolicy(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		Expect(out.EvaluationResults).To(HaveLen(1))

		small := largest()
		small.MaxItems = ptrTo(int32(1))
		page, err := admin.SimulateCustomPolicy(ctx, small)
		Expect(err).NotTo(HaveOccurred())
		Expect(page.EvaluationResults).To(HaveLen(1))
		Expect(page.IsTruncated).To(BeTrue())
	})

	It("is one simulation of a caller at a time: others of the same caller are told to try again", func() {
		other := newUser("simulates", "arn:aws:iam::aws:policy/AdministratorAccess")
		in := largest()
		in.MaxItems = ptrTo(int32(150)) // a tenth of a second
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[string]int{}
		for range 12 {
			all.Go(func() {
				defer GinkgoRecover()
				_, err := admin.SimulateCustomPolicy(ctx, in)
				mu.Lock()
				defer mu.Unlock()
				codes[code(err)]++
				if err != nil {
					Expect(message(err)).To(Equal("Rate exceeded"))
				}
			})
		}
		Expect(err2(other.SimulateCustomPolicy(ctx, in))).To(Succeed()) // whom the first does not concern
		all.Wait()
		Expect(codes).To(And(HaveKey(""), HaveKey("Throttling"), HaveLen(2)))
		Expect(err2(admin.SimulateCustomPolicy(ctx, in))).To(Succeed())
	})

	It("ends when its caller goes away", func() {
		in := largest()
		in.MaxItems = ptrTo(int32(150)) // a tenth of a second
		gone, cancel := context.WithCancel(ctx)
		defer cancel()
		gone = httptrace.WithClientTrace(gone, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { cancel() }})
		Expect(err2(admin.SimulateCustomPolicy(gone, in))).NotTo(Succeed())
		Eventually(func() error { return err2(admin.SimulateCustomPolicy(ctx, in)) }).Should(Succeed())
	})
})
