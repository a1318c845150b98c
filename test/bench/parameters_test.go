package bench

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/test/environment"
)

var manyParameters = flag.Int("bench-parameters", 10_000, "parameters of the longest list that is paged")

// The writes to the API server that a PutParameter makes: an Envelope and the status that commits it; and first the object of a new parameter.
const (
	writesOfVersion   = 2
	writesOfParameter = 3
)

// TestParameters measures what PutParameter and a ParameterTree write to the API server, and what a long list costs, page by page.
func TestParameters(t *testing.T) {
	n := *objects
	if n == 0 { // does the harness work?
		n, *manyParameters = 20, 400
	}
	g := &gatewayBench{bench: start(t)}
	g.gateway = g.spawn("TestGatewayProcess", "-bench-gateway="+g.config, "-bench-audit="+filepath.Join(g.dir, "trail.log"))
	g.caller()
	g.gateway.trust = g.bundle()
	c := g.dial(g.gateway)
	defer c.Close()
	name := func(i int) string { return fmt.Sprintf("/tree/%05d", i) }

	g.written(fmt.Sprintf("%d PutParameter of new Strings", n), n, writesOfParameter, func() {
		for i := range n {
			g.put(c, name(i), "value", false)
		}
	})
	g.written(fmt.Sprintf("%d PutParameter of another value, of one each", n), n, writesOfVersion, func() {
		for i := range n {
			g.put(c, name(i), "another", true)
		}
	})
	g.written(fmt.Sprintf("%d PutParameter in a row of one", n), n, writesOfVersion+1, func() { // from the 101st version on, the oldest one's Envelope goes
		for i := range n {
			g.put(c, name(0), fmt.Sprint(i), true)
		}
	})
	tree := environment.ParameterTree(gatewayAccount, "tree", "/tree")
	if n <= 1024 {
		g.create(tree)
		g.written(fmt.Sprintf("change of one parameter of a tree of %d: besides the put, a write of the target and one of status", n), 1, writesOfVersion+2, func() {
			g.put(c, name(n/2), "changed", true)
			g.shown(tree.Name, strings.TrimPrefix(name(n/2), "/tree/"), "changed")
		})
	}
	g.pages(c)
	g.print()
}

// put puts a String.
func (g *gatewayBench) put(c *conn, name, value string, overwrite bool) {
	g.t.Helper()
	request, err := g.user.sign(g.gateway.address, "ssm", "PutParameter", fmt.Sprintf(`{"Name":%q,"Value":%q,"Type":"String","Overwrite":%t}`, name, value, overwrite))
	g.must(err)
	c.mustDo(g.bench, request)
}

// written counts what is written to the API server meanwhile, and fails the test if it is more than a number for each.
func (g *gatewayBench) written(what string, n, limit int, do func()) {
	g.t.Helper()
	time.Sleep(2 * time.Second) // what was begun before is over
	offset, begin := g.auditOffset(), time.Now()
	do()
	took := time.Since(begin)
	time.Sleep(3 * time.Second) // passes of controllers, and the log, come a little later
	counts, total := g.audited(offset), 0
	maps.DeleteFunc(counts, func(what string, _ int) bool { return strings.HasPrefix(what, "get ") })
	var parts []string
	for what, count := range counts {
		total += count
		parts = append(parts, fmt.Sprintf("%s %.3f", what, float64(count)/float64(n)))
	}
	slices.Sort(parts)
	each := float64(total) / float64(n)
	g.add(what+": writes each", "%.3f (%s); %.1f ms each", each, strings.Join(parts, ", "), took.Seconds()*1000/float64(n))
	if each > float64(limit)+0.005 {
		g.t.Errorf("%s: %.3f writes each, more than %d: %v", what, each, limit, counts)
	}
}

// shown waits until a ConfigMap has a value.
func (g *gatewayBench) shown(name, key, value string) {
	g.t.Helper()
	g.eventually(time.Minute, func() bool {
		config := &corev1.ConfigMap{}
		g.must(client.IgnoreNotFound(g.client.Get(g.ctx, client.ObjectKey{Namespace: gatewayAccount, Name: name}, config)))
		return config.Data[key] == value
	})
}

// pages reads a list by tens, and one that is ten times as long, and compares what an entry costs. The entries are in the gateway's cache alone, and
// SecureStrings that nobody asks to have decrypted.
func (g *gatewayBench) pages(c *conn) {
	var first float64
	for _, n := range []int{*manyParameters / 10, *manyParameters} {
		g.gateway.command("fill parameters %d", n)
		g.gateway.command("collect")
		before, begin := g.gateway.usage(), time.Now()
		pages, entries, token := 0, 0, ""
		for more := true; more; more = token != "" {
			body := `{"Path":"/filler","Recursive":true}`
			if token != "" {
				body = fmt.Sprintf(`{"Path":"/filler","Recursive":true,"NextToken":%q}`, token)
			}
			request, err := g.user.sign(g.gateway.address, "ssm", "GetParametersByPath", body)
			g.must(err)
			var out struct {
				Parameters []struct{ Name string }
				NextToken  string
			}
			g.must(json.Unmarshal(c.mustDo(g.bench, request), &out))
			pages, entries, token = pages+1, entries+len(out.Parameters), out.NextToken
		}
		cpu, took := (g.gateway.usage().cpu-before.cpu)/1e3/float64(pages), time.Since(begin)
		g.add(fmt.Sprintf("GetParametersByPath, %d parameters in %d pages", entries, pages), "%.1f µs CPU a page; %.1f s in all", cpu, took.Seconds())
		if entries != n {
			g.t.Errorf("%d of %d parameters were listed", entries, n)
		}
		if first == 0 {
			first = cpu
		} else if cpu > 3*first { // one that read the whole list for each page would cost ten times as much
			g.t.Errorf("a page of %d parameters costs %.1f µs, and one of a tenth of them %.1f", n, cpu, first)
		}
	}
}
