package kms

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/grants"
)

const (
	// grantParts are how many parts all ids are in, by their first bits: a page of a key's grants is found in one or two of them if there are many, and all of them are
	// looked at if there are few.
	grantParts = 64
	// sampledParts are looked at to know whether a key is anywhere near its limit.
	sampledParts = 4
)

// partOf is the part that an id is in, from 0 to grantParts - 1, in the order of the ids.
func partOf(id string) int {
	first, err := strconv.ParseUint(id[:min(2, len(id))], 16, 8)
	if err != nil { // an id is hexadecimal digits
		return 0
	}
	return int(first) * grantParts / 256
}

// pageValue is a value of GrantPageIndex. grantee is empty for the grants of all grantees.
func pageValue(key, grantee string, part int) string {
	return fmt.Sprintf("%s %s %d", key, grantee, part)
}

// GrantsAfter are a key's grants whose ids come after one, in the order of their ids, limit of them at most; grantee is empty for those of all grantees. It takes a
// time that grows with limit and hardly with how many grants the key has. They are the cache's own: read them only.
func (s *Service) GrantsAfter(ctx context.Context, key *v1alpha1.KMSKey, grantee, after string, limit int) ([]v1alpha1.KMSGrant, error) {
	var out []v1alpha1.KMSGrant
	for part := partOf(after); part < grantParts && len(out) < limit; part++ {
		found, err := s.grants(ctx, client.InNamespace(key.Namespace), client.MatchingFields{GrantPageIndex: pageValue(key.Name, grantee, part)})
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(g v1alpha1.KMSGrant) bool { return !inForce(&g, key) || GrantID(&g) <= after })
		sortGrants(found)
		out = append(out, found...)
	}
	return out[:min(limit, len(out))], nil
}

func sortGrants(found []v1alpha1.KMSGrant) {
	slices.SortFunc(found, func(a, b v1alpha1.KMSGrant) int { return strings.Compare(GrantID(&a), GrantID(&b)) })
}

// roomForGrant fails with ErrTooManyGrants. It counts all grants of a key if a few parts have as many as those of one that is not far from the limit: ids are
// digests, or random, and lie evenly.
func (s *Service) roomForGrant(ctx context.Context, key *v1alpha1.KMSKey) error {
	near := 0
	for part := range sampledParts {
		found, err := s.grants(ctx, client.InNamespace(key.Namespace), client.MatchingFields{GrantPageIndex: pageValue(key.Name, "", part)})
		if err != nil {
			return err
		}
		near += len(found)
	}
	if near < grants.MaximumPerKey*sampledParts/grantParts*3/4 { // 15 standard deviations below that of a key with all of them
		return nil
	}
	all, err := s.grants(ctx, client.InNamespace(key.Namespace), client.MatchingFields{GrantKeyIndex: key.Name})
	if err == nil && len(all) >= grants.MaximumPerKey {
		err = ErrTooManyGrants
	}
	return err
}
