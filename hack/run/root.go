package main

import "context"

// rootCluster is the HSMCluster that is the root of trust of `make run ROOT=hsm`: of two nodes, one may be lost.
const rootCluster = `apiVersion: strongroom.dev/v1alpha1
kind: HSMCluster
metadata: {name: root, namespace: ` + namespace + `}
spec: {size: 2, softHSM: {}}
`

// rootOfTrust is the manager's --root. Its HSMCluster is there before the manager starts, which lets its nodes run, and waits for them.
func rootOfTrust(ctx context.Context, k *kubectl, o options) (string, error) {
	if o.root == "" {
		return "core-secret", nil
	}
	say("making HSMCluster %s/root, the root of trust ...", namespace)
	_, err := k.run(ctx, rootCluster, "apply", "--server-side", "--force-conflicts", "-f", "-")
	return "hsm:" + namespace + "/root", err
}
