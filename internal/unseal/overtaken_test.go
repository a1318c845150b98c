package unseal_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// beforeList does something just before the nth list.
type beforeList struct {
	client.Reader
	n, lists int
	do       func()
}

func (b *beforeList) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if b.lists++; b.lists == b.n {
		b.do()
	}
	return b.Reader.List(ctx, list, opts...)
}

var _ = Describe("A manager that looked for domain keys just before another one made the first", func() {
	It("is not told that they are missing and must be restored from a backup", func(ctx SpecContext) {
		first, second := newUnsealer(), newUnsealer()
		second.Live = &beforeList{Reader: cp.Client, n: 2, do: func() { Expect(first.Unseal(ctx)).To(Succeed()) }}
		Expect(second.Unseal(ctx)).To(Succeed())
		Expect(digestOf(second)).To(Equal(digestOf(first)))
	})
})
