//go:build cgo

package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/hsm/node"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// apart runs nodes of one authority that each made a domain key of epoch 1 of their own: what a wrong volume, or two halves of a network, bring about.
func apart(t testing.TB, size int, changes ...hsmtest.Change) (*client.Cluster, []*hsmtest.Node, *hsmtest.Authority) {
	t.Helper()
	a := hsmtest.NewAuthority(t)
	var nodes []*hsmtest.Node
	for range size {
		nodes = append(nodes, hsmtest.Start(t, a, "", "", changes...))
	}
	c := dial(t, a, mtls.Operator, nodes...)
	for _, n := range nodes {
		initialise(t, c, n)
		api, err := c.Node(n.Address)
		must(t, err)
		_, err = api.CreateDomainKey(ctx(t), 1)
		must(t, err)
	}
	return c, nodes, a
}

func initialise(t testing.TB, c *client.Cluster, n *hsmtest.Node) {
	t.Helper()
	awaitState(t, c, n.Address, hsmpb.State_STATE_UNINITIALIZED)
	api, err := c.Node(n.Address)
	must(t, err)
	must(t, api.Initialize(ctx(t)))
}

func wrapOnce(t testing.TB, c *client.Cluster) error {
	_, err := c.Wrap(ctx(t), secretbytes.Copy(bytes.Repeat([]byte{1}, 32)), nil)
	return err
}

// Nobody can tell which of two is right, and what the wrong one wraps opens nowhere else: none is asked, rather than the one that answers first.
func TestTwoNodesThatHoldDifferentKeysOfOneEpochAreNotAskedAndSaySo(t *testing.T) {
	c, nodes, _ := apart(t, 2)
	h := c.Check(ctx(t))
	if h.Healthy() != 0 || h.Epoch != 0 || !errors.Is(h.Err, hsm.ErrMismatch) || !errors.Is(h.Err, hsm.ErrNoNodes) {
		t.Errorf("%+v", h)
	}
	for i, n := range h.Nodes {
		check := fmt.Sprintf("%x", n.Status.GetDomainKeys()[0].GetKeyCheckValue())
		if n.Address != nodes[i].Address || !errors.Is(n.Err, hsm.ErrMismatch) || !strings.Contains(n.Err.Error(), check) {
			t.Errorf("%s: %v", n.Address, n.Err)
		}
	}
	if err := wrapOnce(t, c); !errors.Is(err, hsm.ErrMismatch) || !errors.Is(err, hsm.ErrNoNodes) {
		t.Errorf("wrapping: %v", err)
	}
	// Adding one to the other does not exchange a key that is there.
	if err := c.Add(ctx(t), nodes[0].Address, nodes[1].Address); !errors.Is(err, hsm.ErrExists) || !strings.Contains(err.Error(), nodes[1].Address) {
		t.Errorf("adding: %v", err)
	}
	// When the wrong one goes, the other serves.
	nodes[1].Stop()
	if h := c.Check(ctx(t)); h.Healthy() != 1 || h.Err != nil || h.Epoch != 1 {
		t.Errorf("%+v", h)
	}
	must(t, wrapOnce(t, c))
}

// A node that was restored to an older volume, or is not yet cloned to, lacks an epoch: what all hold is wrapped under, and what it lacks is asked of others.
func TestANodeThatLacksTheNewestEpochServesTheOthersAndNothingNewIsWrappedUnderThatOne(t *testing.T) {
	c, nodes, a := cluster(t, 2)
	first := dial(t, a, mtls.Operator, nodes[0])
	api, err := c.Node(nodes[0].Address)
	must(t, err)
	_, err = api.CreateDomainKey(ctx(t), 2)
	must(t, err)
	if h := c.Check(ctx(t)); h.Healthy() != 2 || h.Err != nil || h.Epoch != 1 {
		t.Fatalf("%+v", h)
	}
	key := secretbytes.Copy(bytes.Repeat([]byte{1}, 32))
	common, err := c.Wrap(ctx(t), key, nil)
	must(t, err)
	newest, err := first.Wrap(ctx(t), key, nil) // this client knows of the first node alone
	must(t, err)
	if common[hsm.HeaderSize-1] != 1 || newest[hsm.HeaderSize-1] != 2 {
		t.Fatalf("%x and %x", common[:hsm.HeaderSize], newest[:hsm.HeaderSize])
	}
	for range 10 { // whichever node is asked first
		for _, wrapped := range [][]byte{common, newest} {
			if _, err := c.Unwrap(ctx(t), wrapped, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	nodes[0].Stop()
	if _, err := c.Unwrap(ctx(t), newest, nil); err == nil {
		t.Error("a node that lacks the epoch opens it")
	}
	if _, err := dial(t, a, mtls.Operator, nodes[1]).Unwrap(ctx(t), newest, nil); !errors.Is(err, hsm.ErrUnknownEpoch) || errors.Is(err, hsm.ErrNoNodes) {
		t.Errorf("a cluster that lacks it: %v", err) // its nodes are well
	}
}

// The canary finds what a status does not tell: a token that is logged in, has its keys, and cannot use them. The sick one is taken out, whichever of its
// ways fails, and not the one that it was asked with.
func TestANodeThatCannotWrapOrCannotUnwrapFailsTheCanaryAndTheOthersAreAskedAlone(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	_, nodes, a := apart(t, 1)
	sick := hsmtest.Start(t, a, "", "", faults.In)
	c := dial(t, a, mtls.Operator, nodes[0], sick)
	initialise(t, c, sick)
	must(t, c.Add(ctx(t), nodes[0].Address, sick.Address))
	// C_Decrypt comes last: SoftHSM does not know that it failed, and the session is of no use after it.
	for _, function := range []string{"C_EncryptInit", "C_GenerateRandom", "C_DecryptInit", "C_Decrypt"} {
		if h := c.Check(ctx(t)); h.Healthy() != 2 || h.Err != nil {
			t.Fatalf("before %s: %+v", function, h)
		}
		mend := faults.Fail(t, function, pkcs11.CKR_FUNCTION_FAILED)
		h := c.Check(ctx(t))
		if h.Healthy() != 1 || h.Err != nil || h.Nodes[0].Err != nil || !errors.Is(h.Nodes[1].Err, hsm.ErrModule) || !strings.Contains(h.Nodes[1].Err.Error(), "canary") {
			t.Errorf("%s: %v and %v", function, h.Nodes[0].Err, h.Nodes[1].Err)
		}
		before := faults.Calls(t, function)
		for range 10 {
			must(t, wrapOnce(t, c))
		}
		if after := faults.Calls(t, function); after != before {
			t.Errorf("%s: a node that failed the canary is asked", function)
		}
		mend()
	}
}

func TestANodeThatHangsIsTakenOutInTheTimeOfOneAttempt(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	c, _, _ := apart(t, 1, faults.In)
	must(t, wrapOnce(t, c))
	faults.Hang(t, "C_Encrypt")
	began := time.Now()
	h := c.Check(ctx(t))
	if took := time.Since(began); h.Healthy() != 0 || !errors.Is(h.Err, context.DeadlineExceeded) || took > 5*time.Second {
		t.Errorf("after %s: %+v", took, h)
	}
	if _, err := c.Random(ctx(t), 8); !errors.Is(err, hsm.ErrNoNodes) {
		t.Errorf("%v", err)
	}
}

// Who asks for a check and goes says nothing of the nodes.
func TestACheckWhoseCallerGoesTakesNoNodeOut(t *testing.T) {
	c, _, _ := apart(t, 1)
	must(t, wrapOnce(t, c))
	gone, cancel := context.WithCancel(ctx(t))
	cancel()
	if h := c.Check(gone); !errors.Is(h.Err, context.Canceled) {
		t.Errorf("%+v", h)
	}
	if _, err := c.Random(ctx(t), 8); err != nil {
		t.Errorf("after a check that its caller left: %v", err)
	}
}

func TestACallerThatGoesIsToldSoAndItsNodeIsNotBlamed(t *testing.T) {
	c, nodes, _ := apart(t, 1)
	must(t, wrapOnce(t, c))
	for range 5 {
		gone, cancel := context.WithCancel(ctx(t))
		cancel()
		if _, err := c.Random(gone, 8); !errors.Is(err, context.Canceled) || errors.Is(err, hsm.ErrNoNodes) || !strings.Contains(err.Error(), nodes[0].Address) {
			t.Errorf("%v", err)
		}
	}
	if _, err := c.Random(ctx(t), 8); err != nil {
		t.Errorf("it is taken out: %v", err)
	}
}

// A node that fails is asked twice, then left alone for half a minute, then tried by one request, and back at once when that went well.
func TestANodeThatFailsIsTakenOutAndComesBack(t *testing.T) {
	a := hsmtest.NewAuthority(t)
	n := hsmtest.Start(t, a, "", "")
	var now atomic.Int64
	c, err := client.New(client.Options{
		Cluster: hsmtest.Cluster, Addresses: []string{n.Address}, TLS: a.Source(t, mtls.Operator, "test"), Now: func() time.Time { return time.Unix(now.Load(), 0) },
	})
	must(t, err)
	defer c.Close()
	initialise(t, c, n)
	_, err = c.Random(ctx(t), 8)
	must(t, err)
	n.Stop()
	for range 2 {
		if _, err := c.Random(ctx(t), 8); !errors.Is(err, hsm.ErrNoNodes) || strings.Contains(err.Error(), "tried again") {
			t.Errorf("%v", err)
		}
	}
	back := hsmtest.Start(t, a, n.Dir, n.Address)
	awaitState(t, c, back.Address, hsmpb.State_STATE_INITIALIZED)
	if _, err := c.Random(ctx(t), 8); !errors.Is(err, hsm.ErrNoNodes) || !strings.Contains(err.Error(), "failed 2 times and is tried again within 30s") {
		t.Errorf("it is asked while it is out: %v", err)
	}
	now.Add(30)
	for range 3 {
		if _, err := c.Random(ctx(t), 8); err != nil {
			t.Errorf("half a minute later: %v", err)
		}
	}
}

// A node that dies under load costs its callers a moment: each of them is answered by the other one.
func TestNoCallerNoticesThatOneOfTwoNodesDiesAndComesBack(t *testing.T) {
	c, nodes, a := cluster(t, 2)
	key, public, err := c.GenerateKey(ctx(t), spec(t, "ECC_NIST_P256"), nil)
	must(t, err)
	stop := make(chan struct{})
	var signed atomic.Int64
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := verify(c, ctx(t), key, public); err != nil {
					t.Errorf("%v", err)
					return
				}
				signed.Add(1)
			}
		})
	}
	more := func(what string) {
		t.Helper()
		was := signed.Load()
		hsmtest.Eventually(t, "they sign on "+what, func() bool { return signed.Load() > was+50 })
	}
	more("at first")
	nodes[1].Stop()
	more("without a node")
	if h := c.Check(ctx(t)); h.Healthy() != 1 || h.Err != nil {
		t.Errorf("%+v", h)
	}
	back := hsmtest.Start(t, a, nodes[1].Dir, nodes[1].Address)
	awaitState(t, c, back.Address, hsmpb.State_STATE_ACTIVE)
	hsmtest.Eventually(t, "both are asked", func() bool { return c.Check(ctx(t)).Healthy() == 2 })
	nodes[0].Stop()
	more("with the one that came back alone")
	close(stop)
	callers.Wait()
}

func TestAHealthCheckNamesEachNodeThatIsOutAndWhy(t *testing.T) {
	a := hsmtest.NewAuthority(t)
	empty, initialised, wrong := hsmtest.Start(t, a, "", ""), hsmtest.Start(t, a, "", ""), hsmtest.Start(t, a, "", "", func(o *node.Options) { o.Library = "/missing/lib.so" })
	gone := hsmtest.Start(t, a, "", "")
	c := dial(t, a, mtls.Operator, empty, initialised, wrong, gone)
	initialise(t, c, initialised)
	awaitState(t, c, empty.Address, hsmpb.State_STATE_UNINITIALIZED)
	awaitState(t, c, wrong.Address, hsmpb.State_STATE_DEGRADED)
	gone.Stop()
	h := c.Check(ctx(t))
	for i, want := range []error{hsm.ErrUninitialized, hsm.ErrNoDomainKey, hsm.ErrModule, hsm.ErrNoNodes} {
		if !errors.Is(h.Nodes[i].Err, want) || !strings.Contains(h.Err.Error(), h.Nodes[i].Address) {
			t.Errorf("node %d: %v", i, h.Nodes[i].Err)
		}
	}
	if h.Nodes[3].Status != nil || h.Nodes[2].Status == nil || h.Healthy() != 0 || h.Epoch != 0 {
		t.Errorf("%+v", h)
	}
	if _, _, err := c.GenerateKey(ctx(t), spec(t, "SYMMETRIC_DEFAULT"), nil); !errors.Is(err, hsm.ErrNoNodes) || !errors.Is(err, hsm.ErrNoDomainKey) {
		t.Errorf("a key of a cluster that is not set up: %v", err)
	}
}

func TestACloneThatCannotBeSaysAtWhichNodeAndWhy(t *testing.T) {
	_, nodes, a := apart(t, 1)
	joiner := hsmtest.Start(t, a, "", "")
	c := dial(t, a, mtls.Operator, nodes[0], joiner)
	awaitState(t, c, joiner.Address, hsmpb.State_STATE_UNINITIALIZED)
	for _, pair := range [][2]string{{"10.0.0.1:1", joiner.Address}, {nodes[0].Address, "10.0.0.1:1"}} {
		if err := c.Add(ctx(t), pair[0], pair[1]); !errors.Is(err, hsm.ErrInvalidArgument) || !strings.Contains(err.Error(), "10.0.0.1:1") {
			t.Errorf("%v", err)
		}
	}
	if err := c.Add(ctx(t), nodes[0].Address, joiner.Address); !errors.Is(err, hsm.ErrUninitialized) || !strings.Contains(err.Error(), "transport key at "+joiner.Address) {
		t.Errorf("a joiner that is not initialised: %v", err)
	}
	initialise(t, c, joiner)
	if err := c.Add(ctx(t), joiner.Address, nodes[0].Address); !errors.Is(err, hsm.ErrNoDomainKey) || !strings.Contains(err.Error(), "cloning the domain keys of "+joiner.Address) {
		t.Errorf("a donor that has nothing: %v", err)
	}
	must(t, c.Add(ctx(t), nodes[0].Address, joiner.Address))
	must(t, c.Add(ctx(t), nodes[0].Address, joiner.Address)) // once more does no harm
}

func TestARootInAClusterOpensWhatItWrappedForTheSameUseAlone(t *testing.T) {
	c, _, _ := apart(t, 1)
	root := client.NewRoot("HSMCluster/vault", c)
	if root.Name() != "HSMCluster/vault" {
		t.Error(root.Name())
	}
	key := secretbytes.Copy(bytes.Repeat([]byte("CANARY-8"), 4))
	wrapped, err := root.Wrap(ctx(t), key, keyring.Context{"epoch": "1"})
	must(t, err)
	if bytes.Contains(wrapped, []byte("CANARY")) {
		t.Errorf("%q", wrapped)
	}
	got, err := root.Unwrap(ctx(t), wrapped, keyring.Context{"epoch": "1"})
	if err != nil || !bytes.Equal(got.Reveal(), key.Reveal()) {
		t.Errorf("%v", err)
	}
	for _, other := range []keyring.Context{nil, {"epoch": "2"}, {"epoch": "1", "x": "y"}} {
		if _, err := root.Unwrap(ctx(t), wrapped, other); !errors.Is(err, hsm.ErrInvalidCiphertext) {
			t.Errorf("%v: %v", other, err)
		}
	}
}
