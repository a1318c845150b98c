package v1alpha1_test

// ofShop is the spec of a replica with more fields.
func ofShop(more string) string {
	return "{multiRegion: true, replicaOf: {name: shop, region: us-west-1}" + more + "}"
}

// multiRegionRules are the cases of multi-Region KMSKeys.
func multiRegionRules() []rule {
	return []rule{
		{kind: key, path: "spec", message: "multiRegion cannot be changed", field: "spec.multiRegion", changes: true,
			accepts: []string{"{multiRegion: true}", "{multiRegion: true, description: d}", "{}", "{multiRegion: false}", ofShop(""), "{multiRegion: true}", "{multiRegion: true}", ofShop("")},
			refuses: []string{"{}", "{multiRegion: true}", "{multiRegion: true}", "{}"}},
		{kind: key, path: "spec", message: "a multi-Region key is in no custom key store", field: "spec.multiRegion",
			accepts: []string{"{multiRegion: true, origin: AWS_KMS}", "{multiRegion: true, origin: EXTERNAL}", ofShop(", origin: EXTERNAL"), "{multiRegion: false, origin: AWS_CLOUDHSM, customKeyStoreRef: {name: a}}"},
			refuses: []string{"{multiRegion: true, origin: AWS_CLOUDHSM, customKeyStoreRef: {name: a}}"}},
		{kind: key, path: "spec", message: "an authority's key is in one region", field: "spec.multiRegion",
			accepts: []string{signing("ECC_NIST_P256", ", multiRegion: true")},
			refuses: []string{signing("ECC_NIST_P256", ", multiRegion: true, certificateAuthorityRef: {name: internal}")}},
		{kind: key, path: "spec", message: "a replica is a multi-Region key", field: "spec.replicaOf",
			accepts: []string{ofShop("")}, refuses: []string{"{replicaOf: {name: shop, region: us-west-1}}"}},
		{kind: key, path: "spec", message: "multi-Region keys alone have replicas", field: "spec.replicaRegions",
			accepts: []string{"{multiRegion: true, replicaRegions: [{region: us-west-1}]}"}, refuses: []string{"{replicaRegions: [{region: us-west-1}]}"}},
		{kind: key, path: "spec", message: "a replica is rotated and replicated at its primary", field: "spec.replicaOf",
			accepts: []string{ofShop(", tags: [{key: a, value: b}]")},
			refuses: []string{ofShop(", rotation: {enabled: true}"), ofShop(", rotation: {enabled: false}"), ofShop(", replicaRegions: [{region: eu-west-1}]")}},
		{kind: key, path: "spec", message: "a replica is in another region than its primary", field: "spec.replicaOf.region",
			accepts: []string{ofShop(", region: eu-west-1")}, refuses: []string{ofShop(", region: us-west-1")}},
		{kind: key, path: "spec", message: "a key is replicated to other regions than its own", field: "spec.replicaRegions",
			accepts: []string{"{multiRegion: true, region: eu-west-1, replicaRegions: [{region: us-west-1}]}"},
			refuses: []string{"{multiRegion: true, region: eu-west-1, replicaRegions: [{region: us-west-1}, {region: eu-west-1}]}"}},
		{kind: key, path: "spec.replicaRegions[].region", message: aRegion, field: "spec.replicaRegions[0].region",
			accepts: []string{"{multiRegion: true, replicaRegions: [{region: eu-west-1}]}"}, refuses: []string{"{multiRegion: true, replicaRegions: [{region: Frankfurt}]}"}},
		{kind: key, path: "spec.replicaRegions[].name", message: "name is a DNS name", field: "spec.replicaRegions[0].name",
			accepts: []string{"{multiRegion: true, replicaRegions: [{region: eu-west-1, name: a-b.c}]}"}, refuses: []string{"{multiRegion: true, replicaRegions: [{region: eu-west-1, name: a/b}]}"}},
		{kind: key, path: "spec.replicaOf.region", message: aRegion, field: "spec.replicaOf.region",
			accepts: []string{ofShop("")}, refuses: []string{"{multiRegion: true, replicaOf: {name: shop, region: Frankfurt}}"}},
		{kind: key, path: "spec.replicaOf.name", message: "name is a DNS name", field: "spec.replicaOf.name",
			accepts: []string{"{multiRegion: true, replicaOf: {name: a-b.c, region: us-west-1}}"}, refuses: []string{"{multiRegion: true, replicaOf: {name: a/b, region: us-west-1}}"}},
	}
}
