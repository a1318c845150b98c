package bench

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

var (
	gatewayRoot    = flag.String("bench-root", "", "root of trust of that gateway")
	gatewayHSM     = flag.String("bench-hsm", "", "folder of the tokens of its HSM nodes")
	gatewayProgram = flag.String("bench-hsm-program", "", "the program strongroom, of which HSM nodes are processes")
)

const (
	// rootRounds are measured by turns, so that what else the machine does meets both alike.
	rootRounds = 6
	// rootTarget is how much more a request may cost with the root in an HSM: it is needed to unseal, and by no request.
	rootTarget = 1.1
)

// withRoot gives a gateway's process the root that its flags name.
func withRoot(o operator.Options) operator.Options {
	if *gatewayRoot != "" {
		o.Root, o.HSMLocalDirectory = *gatewayRoot, *gatewayHSM
		o.HSMCommand = func(arguments ...string) *exec.Cmd { return exec.Command(*gatewayProgram, arguments...) }
	}
	return o
}

// TestRoot measures Encrypt with the root of trust in an HSMCluster of two SoftHSM nodes beside one in a core Secret.
func TestRoot(t *testing.T) {
	if *objects == 0 { // does the harness work?
		*each = 200 * time.Millisecond
	}
	software, hardware := &gatewayBench{bench: start(t)}, &gatewayBench{bench: start(t)}
	root := &v1alpha1.HSMCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: "root"},
		Spec:       v1alpha1.HSMClusterSpec{Size: 2, SoftHSM: &v1alpha1.SoftHSM{}},
	}
	hardware.must(hardware.client.Create(hardware.ctx, root))
	nodes := filepath.Join(hardware.dir, "hsm")
	t.Cleanup(func() { endNodes(nodes) }) // after the gateway, which is killed and so ends none
	software.begin()
	hardware.begin("-bench-root=hsm:"+root.Namespace+"/"+root.Name, "-bench-hsm="+nodes, "-bench-hsm-program="+hardware.binary)
	for _, operation := range []string{"Encrypt", "Decrypt"} {
		costs := map[*gatewayBench][]float64{}
		times := map[*gatewayBench][]float64{}
		turns := []*gatewayBench{software, hardware}
		for range rootRounds {
			slices.Reverse(turns)
			for _, g := range turns {
				c := g.measure(g.gateway, g.user, operation, "root")
				costs[g], times[g] = append(costs[g], c.cpu), append(times[g], float64(c.p50.Microseconds()))
			}
		}
		ratio := slices.Min(costs[hardware]) / slices.Min(costs[software])
		software.add(operation+", root in an HSMCluster beside a core Secret: CPU of a request", "%.2f (%.1f and %.1f µs; target %.1f); p50 %.0f and %.0f µs", ratio,
			slices.Min(costs[hardware]), slices.Min(costs[software]), rootTarget, slices.Min(times[hardware]), slices.Min(times[software]))
		if *objects > 0 && ratio > rootTarget {
			t.Errorf("%s costs %.2f of what it costs with a root in a core Secret, and may cost %.1f", operation, ratio, rootTarget)
		}
	}
	software.print()
}

// endNodes ends the HSM nodes whose process numbers are in a folder of hsmnodes.Local's.
func endNodes(folder string) {
	files, _ := filepath.Glob(filepath.Join(folder, "*", "*", "pid"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
}

// begin starts the gateway with an account that may encrypt.
func (g *gatewayBench) begin(args ...string) {
	g.t.Helper()
	g.gateway = g.spawn("TestGatewayProcess", append([]string{"-bench-gateway=" + g.config, "-bench-audit=" + filepath.Join(g.dir, fmt.Sprintf("trail-%d.log", len(args)))}, args...)...)
	g.account()
	g.gateway.trust = g.bundle()
	g.onceBefore()
}
