package manager_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// network is a TCP proxy in front of the API server that can drop everything, as a broken network does: nothing is
// refused, and nothing is answered.
type network struct {
	l        net.Listener
	upstream string

	mu       sync.Mutex
	passable *sync.Cond
	dropping bool
	closed   bool
	open     []net.Conn
}

func newNetwork(upstream string) *network {
	GinkgoHelper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	n := &network{l: l, upstream: upstream}
	n.passable = sync.NewCond(&n.mu)
	go n.serve()
	DeferCleanup(n.close)
	return n
}

func (n *network) serve() {
	for {
		client, err := n.l.Accept()
		if err != nil {
			return
		}
		n.keep(client)
		go func() {
			n.pass()
			server, err := net.Dial("tcp", n.upstream)
			if err != nil {
				_ = client.Close()
				return
			}
			n.keep(server)
			go n.copy(server, client)
			n.copy(client, server)
		}()
	}
}

func (n *network) keep(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = append(n.open, c)
}

// pass waits until the network is whole.
func (n *network) pass() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.dropping && !n.closed {
		n.passable.Wait()
	}
}

func (n *network) copy(to io.WriteCloser, from io.ReadCloser) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		size, err := from.Read(buffer)
		n.pass()
		if size > 0 {
			if _, err := to.Write(buffer[:size]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (n *network) set(dropping bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dropping = dropping
	n.passable.Broadcast()
}

func (n *network) close() {
	_ = n.l.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	n.passable.Broadcast()
	for _, c := range n.open {
		_ = c.Close()
	}
}

var _ = Describe("A network that drops everything", func() {
	It("for a minute is outlived, and what was asked for meanwhile is done, once", func() {
		cfg, host := administrator()
		n := newNetwork(host)
		health := fmt.Sprintf("127.0.0.1:%d", freePort())
		p := launch(kubeconfig(cfg, n.l.Addr().String()), "--leader-elect=false", "--health-probe-bind-address="+health)
		old := create("old")
		Eventually(isReady(old), "60s").Should(BeTrue())

		n.set(true)
		rotate(old, "meanwhile")
		young := create("young")
		alive := func() int {
			response, err := http.Get("http://" + health + "/healthz")
			if err != nil {
				return 0
			}
			_ = response.Body.Close()
			return response.StatusCode
		}
		Consistently(func(g Gomega) {
			g.Expect(p.ended).NotTo(Receive(), "it ended")
			g.Expect(alive()).To(Equal(http.StatusOK), "it would be restarted")
			g.Expect(isReady(young)()).To(BeFalse(), "the proxy lets something through")
		}, time.Minute, time.Second).Should(Succeed())

		n.set(false)
		Eventually(settled(old), "90s").Should(BeTrue())
		Eventually(settled(young), "90s").Should(BeTrue())
		Expect(p.ended).NotTo(Receive(), "it is another process that healed")
		p.stop()
		op := reader()
		agree(op, old, 1)
		agree(op, young, 0)
		Expect(old.Status.Versions).To(HaveLen(2))
	})

	It("takes the lead from a leader, who ends so that another can work", func() {
		cfg, host := administrator()
		n := newNetwork(host)
		first := launch(kubeconfig(cfg, n.l.Addr().String()), "--leader-elect")
		Eventually(isReady(create("by-the-first")), "60s").Should(BeTrue())
		second := launch(kubeconfig(cfg, host), "--leader-elect")
		n.set(true)
		Eventually(first.ended, "40s").Should(Receive(MatchError("exit status 1")))
		Expect(first.log.String()).To(ContainSubstring("strongroom: running the manager: leader election lost"))
		s := create("by-the-second")
		Eventually(isReady(s), "60s").Should(BeTrue())
		second.stop()
		agree(reader(), s, 0)
	})
})
