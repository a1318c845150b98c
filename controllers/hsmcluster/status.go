package hsmcluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

// nodesOf is what status says of nodes. A pass that did not get to ask them leaves what it said.
func nodesOf(p *pass) []v1alpha1.HSMNode {
	former := p.before.Status.Nodes
	if p.health == nil && (p.nodes == nil || len(former) > 0) {
		return former
	}
	var out []v1alpha1.HSMNode
	for i, n := range p.nodes {
		node := v1alpha1.HSMNode{Name: n.Name, Endpoint: n.Address, State: v1alpha1.HSMCreateInProgress, Message: cut(n.Message, 512)}
		if p.health != nil && i < len(p.health.Nodes) {
			describe(&node, p.health.Nodes[i], n.Message)
		}
		served := slices.ContainsFunc(former, func(f v1alpha1.HSMNode) bool {
			return f.Name == node.Name && f.State != v1alpha1.HSMCreateInProgress
		})
		if served && node.State == v1alpha1.HSMCreateInProgress {
			node.State = v1alpha1.HSMDegraded
		}
		out = append(out, node)
	}
	return out
}

// describe puts what a node says of itself into status.
func describe(node *v1alpha1.HSMNode, h hsmclient.NodeHealth, process string) {
	if m := h.Status.GetModule(); m != nil {
		node.Module = cut(strings.TrimSpace(strings.TrimSpace(m.GetManufacturer())+" "+m.GetLibraryVersion()), 256)
		node.Firmware = cut(m.GetFirmwareVersion(), 64)
	}
	switch {
	case h.Err == nil:
		node.State, node.Message = v1alpha1.HSMActive, ""
		return
	case h.Status.GetState() == hsmpb.State_STATE_DEGRADED:
		node.State = v1alpha1.HSMDegraded
	}
	node.Message = cut(cmp.Or(process, h.Err.Error()), 512)
}

func cut(s string, length int) string {
	s = strings.ToValidUTF8(s, "?")
	return strings.ToValidUTF8(s[:min(len(s), length)], "")
}

// stateOf is AWS's word for a cluster.
func stateOf(s *v1alpha1.HSMClusterStatus) v1alpha1.HSMClusterState {
	active, created := 0, 0
	for _, n := range s.Nodes {
		switch n.State {
		case v1alpha1.HSMActive:
			active++
		case v1alpha1.HSMCreateInProgress:
			created++
		case v1alpha1.HSMDegraded:
		}
	}
	switch {
	case len(s.DomainKeys) == 0 && slices.ContainsFunc(s.Nodes, func(n v1alpha1.HSMNode) bool { return n.Module != "" }):
		return v1alpha1.HSMClusterInitializeInProgress
	case len(s.DomainKeys) == 0 || len(s.Nodes) == 0:
		return v1alpha1.HSMClusterCreateInProgress
	case active == len(s.Nodes):
		return v1alpha1.HSMClusterActive
	case active > 0 && active+created == len(s.Nodes):
		return v1alpha1.HSMClusterUpdateInProgress
	}
	return v1alpha1.HSMClusterDegraded
}

// stateWithoutNodes is AWS's word for a cluster that has no nodes, as its spec says.
func stateWithoutNodes(s *v1alpha1.HSMClusterStatus) v1alpha1.HSMClusterState {
	if len(s.DomainKeys) == 0 {
		return v1alpha1.HSMClusterUninitialized
	}
	return v1alpha1.HSMClusterInitialized
}

// served is what Ready says when all is well, with what people should know besides.
func served(nodes int, notice string) string {
	message := fmt.Sprintf("All %d nodes serve", nodes)
	if nodes == 0 {
		message = "There are no nodes, as spec.size says"
	}
	if notice != "" {
		message += "; " + notice
	}
	return message
}

func readyMessage(hc *v1alpha1.HSMCluster) string {
	if c := meta.FindStatusCondition(hc.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Message
	}
	return ""
}

// available says whether the cluster can be asked at all.
func available(hc *v1alpha1.HSMCluster) {
	active := 0
	for _, n := range hc.Status.Nodes {
		if n.State == v1alpha1.HSMActive {
			active++
		}
	}
	status, reason := metav1.ConditionFalse, v1alpha1.ReasonNodesUnavailable
	if active > 0 && len(hc.Status.DomainKeys) > 0 {
		status, reason = metav1.ConditionTrue, v1alpha1.ReasonSucceeded
	}
	conditions.Set(&hc.Status.Conditions, hc.Generation, v1alpha1.ConditionAvailable, status, reason, fmt.Sprintf("%d of %d nodes serve", active, len(hc.Status.Nodes)))
}
