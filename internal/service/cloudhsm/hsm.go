package cloudhsm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// HSM is one node of a cluster in AWS's words.
type HSM struct {
	// ID derives from the cluster's and the number, so that the node that gets the same volume again is the same HSM.
	ID string
	// Number counts from 0.
	Number int
	// State is AWS's.
	State v1alpha1.HSMState
	// Message says why it does not serve.
	Message string
	// AvailabilityZone is the one that CreateHsm named; empty for a node that a manifest made.
	AvailabilityZone string
}

// HSMDeleteInProgress is the state of a node that spec.size has no place for, and that has not ended yet.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_Hsm.html#CloudHSMV2-Type-Hsm-State
const HSMDeleteInProgress v1alpha1.HSMState = "DELETE_IN_PROGRESS"

// HSMID is a node's id in AWS's form, of 11 characters.
func HSMID(namespace, name string, number int) string {
	sum := sha256.Sum256([]byte("strongroom hsm\x00" + namespace + "/" + name + "\x00" + strconv.Itoa(number)))
	return "hsm-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:11]
}

// HSMs are a cluster's nodes: those that spec.size wants, from the moment that it says so, and those that have yet to end.
func HSMs(hc *v1alpha1.HSMCluster) []HSM {
	size, zones := int(hc.Spec.Size), RequestOf(hc).AvailabilityZones
	out := make([]HSM, 0, size)
	for number := range max(size, len(hc.Status.Nodes)) {
		h := HSM{ID: HSMID(hc.Namespace, hc.Name, number), Number: number, State: v1alpha1.HSMCreateInProgress}
		if number < len(hc.Status.Nodes) {
			h.State, h.Message = hc.Status.Nodes[number].State, hc.Status.Nodes[number].Message
		}
		if number >= size || !hc.DeletionTimestamp.IsZero() {
			h.State, h.Message = HSMDeleteInProgress, ""
		}
		if number < len(zones) {
			h.AvailabilityZone = zones[number]
		}
		out = append(out, h)
	}
	return out
}

// StateNow is AWS's state of a cluster: what its controller found last, and what the spec says from when it was written.
func StateNow(hc *v1alpha1.HSMCluster) v1alpha1.HSMClusterState {
	state := hc.Status.State
	switch {
	case !hc.DeletionTimestamp.IsZero():
		return v1alpha1.HSMClusterDeleteInProgress
	case state == "":
		return v1alpha1.HSMClusterCreateInProgress
	case state == v1alpha1.HSMClusterActive && int(hc.Spec.Size) != len(hc.Status.Nodes):
		return v1alpha1.HSMClusterUpdateInProgress
	}
	return state
}

// CreateHSM makes one node more. It wraps ErrTooManyHSMs, ErrHSMQuota, ErrDeleting or ErrGone.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_CreateHsm.html
//
// Crash-safe: it is one optimistic write. As in AWS, who repeats it makes another HSM.
func (s *Service) CreateHSM(ctx context.Context, hc *v1alpha1.HSMCluster, zone string) (HSM, error) {
	s.counting.Lock()
	defer s.counting.Unlock()
	others, err := s.count(ctx, hc.Namespace, hc.Name)
	if err != nil {
		return HSM{}, err
	}
	after, err := s.Change(ctx, hc, func(c *v1alpha1.HSMCluster) error {
		if c.Spec.Size >= MaximumHSMs {
			return ErrTooManyHSMs
		}
		if most := cmp.Or(s.Quotas.HSMs, DefaultHSMs); others.hsms+int(c.Spec.Size) >= most {
			return fmt.Errorf("%w: %d", ErrHSMQuota, most)
		}
		request := RequestOf(c)
		request.AvailabilityZones = sized(request.AvailabilityZones, int(c.Spec.Size))
		request.AvailabilityZones = append(request.AvailabilityZones, zone)
		c.Spec.Size++
		return request.annotate(c)
	})
	if err != nil {
		return HSM{}, err
	}
	h := HSMs(after)[after.Spec.Size-1]
	h.State, h.Message = v1alpha1.HSMCreateInProgress, "" // one of that number may still be ending
	return h, nil
}

// DeleteHSM takes a node away. It must be the last: its volume stays, and is the next one's. It wraps ErrHSMNotFound, ErrNotLast, ErrRoot, ErrDeleting or ErrGone.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_DeleteHsm.html
//
// Crash-safe: it is one optimistic write, and one that is repeated finds no such HSM, or one that is being deleted.
func (s *Service) DeleteHSM(ctx context.Context, hc *v1alpha1.HSMCluster, id string) error {
	_, err := s.Change(ctx, hc, func(c *v1alpha1.HSMCluster) error {
		all := HSMs(c)
		at := slices.IndexFunc(all, func(h HSM) bool { return h.ID == id })
		last := int(c.Spec.Size) - 1
		switch {
		case at < 0:
			return fmt.Errorf("%w: %s", ErrHSMNotFound, id)
		case at > last: // it is going
			return nil
		case at < last:
			return fmt.Errorf("%w: delete %s first", ErrNotLast, all[last].ID)
		case last == 0 && Claimed(c):
			return ErrRoot
		}
		c.Spec.Size--
		request := RequestOf(c)
		request.AvailabilityZones = sized(request.AvailabilityZones, last)
		return request.annotate(c)
	})
	return err
}

// sized is a list cut or filled up to a length.
func sized(zones []string, length int) []string {
	out := slices.Clone(zones[:min(length, len(zones))])
	for len(out) < length {
		out = append(out, "")
	}
	return out
}
