package plugin

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// object is one of Strongroom's kinds.
type object interface {
	client.Object
	GetConditions() []metav1.Condition
}

// kind is what the commands know of a kind. A function that is nil means that the kind has no such thing.
type kind struct {
	name    string
	aliases []string
	// only is the name of the one object of the kind, which is in Strongroom's own namespace; of kinds that have one.
	only  string
	empty func() object
	list  func() client.ObjectList
	// arn that AWS knows the object by, and names besides, such as an alias.
	arn   func(object) string
	names func(object) []string
	// handled is the echo of the annotation that asks for a rotation; rotating, whether a rotation is under way.
	handled  func(object) string
	rotating func(object) bool
	history  func(object) []version
	// inForce is the id of the version in force, of kinds in which that need not be the newest.
	inForce func(object) string
	// serial is of the certificate in force, of kinds that have one and no history.
	serial func(object) string
}

// version is one line of an object's history.
type version struct {
	ID      string      `json:"id"`
	Number  int64       `json:"number"`
	Labels  []string    `json:"labels,omitempty"`
	Created metav1.Time `json:"createdTime"`
}

// about makes a function for a kind of one for its Go type.
func about[T object, V any](f func(T) V) func(object) V {
	return func(o object) V { return f(o.(T)) } //nolint:forcetypeassert // kinds pairs them
}

// kinds are all whose objects users make, in the order that get shows them.
var kinds = []kind{
	{
		name: "Secret", aliases: []string{"secrets", "sms"},
		empty: func() object { return &v1alpha1.Secret{} }, list: func() client.ObjectList { return &v1alpha1.SecretList{} },
		arn:      about(func(s *v1alpha1.Secret) string { return s.Status.ARN }),
		names:    about(func(s *v1alpha1.Secret) []string { return []string{s.AWSName()} }),
		handled:  about(func(s *v1alpha1.Secret) string { return s.Status.LastHandledRotateAt }),
		rotating: about(func(s *v1alpha1.Secret) bool { return s.Status.Rotation != nil }),
		inForce:  about(func(s *v1alpha1.Secret) string { return s.Status.CurrentVersionID }),
		history:  about(versionsOfSecret),
	},
	{
		name: "Parameter", aliases: []string{"parameters", "ssmp"},
		empty: func() object { return &v1alpha1.Parameter{} }, list: func() client.ObjectList { return &v1alpha1.ParameterList{} },
		arn:     about(func(p *v1alpha1.Parameter) string { return p.Status.ARN }),
		names:   about(func(p *v1alpha1.Parameter) []string { return []string{p.AWSName()} }),
		handled: about(func(p *v1alpha1.Parameter) string { return p.Status.LastHandledRotateAt }),
		history: about(versionsOfParameter),
	},
	{
		name: "ParameterTree", aliases: []string{"parametertrees", "ssmtree"},
		empty: func() object { return &v1alpha1.ParameterTree{} }, list: func() client.ObjectList { return &v1alpha1.ParameterTreeList{} },
		arn:   about(func(t *v1alpha1.ParameterTree) string { return t.Status.ARN }),
		names: about(func(t *v1alpha1.ParameterTree) []string { return []string{t.Spec.Path} }),
	},
	{
		name: "KMSKey", aliases: []string{"kmskeys", "key", "keys"},
		empty: func() object { return &v1alpha1.KMSKey{} }, list: func() client.ObjectList { return &v1alpha1.KMSKeyList{} },
		arn:     about(func(k *v1alpha1.KMSKey) string { return k.Status.ARN }),
		names:   about(func(k *v1alpha1.KMSKey) []string { return append([]string{k.Status.KeyID}, k.Spec.Aliases...) }),
		handled: about(func(k *v1alpha1.KMSKey) string { return k.Status.LastHandledRotateAt }),
		history: about(materialsOf),
	},
	{
		name: "Keyring", aliases: []string{"keyrings"}, only: v1alpha1.KeyringName,
		empty: func() object { return &v1alpha1.Keyring{} }, list: func() client.ObjectList { return &v1alpha1.KeyringList{} },
		handled: about(func(k *v1alpha1.Keyring) string { return k.Status.LastHandledRotateAt }),
		history: about(epochsOf),
	},
	{
		name: "KMSGrant", aliases: []string{"kmsgrants", "grant", "grants"},
		empty: func() object { return &v1alpha1.KMSGrant{} }, list: func() client.ObjectList { return &v1alpha1.KMSGrantList{} },
		names: about(func(g *v1alpha1.KMSGrant) []string { return []string{g.Status.GrantID, g.Spec.Name} }),
	},
	{
		name: "Certificate", aliases: []string{"certificates", "acmcert"},
		empty: func() object { return &v1alpha1.Certificate{} }, list: func() client.ObjectList { return &v1alpha1.CertificateList{} },
		arn:     about(func(c *v1alpha1.Certificate) string { return c.Status.ARN }),
		handled: about(func(c *v1alpha1.Certificate) string { return c.Status.LastHandledRotateAt }),
		serial:  about(func(c *v1alpha1.Certificate) string { return c.Status.Serial }),
	},
	{
		name: "CertificateAuthority", aliases: []string{"certificateauthorities", "acmpca"},
		empty: func() object { return &v1alpha1.CertificateAuthority{} }, list: func() client.ObjectList { return &v1alpha1.CertificateAuthorityList{} },
		arn:     about(func(c *v1alpha1.CertificateAuthority) string { return c.Status.ARN }),
		handled: about(func(c *v1alpha1.CertificateAuthority) string { return c.Status.LastHandledRotateAt }),
		serial:  about(func(c *v1alpha1.CertificateAuthority) string { return c.Status.Serial }),
	},
	{
		name: "HSMCluster", aliases: []string{"hsmclusters", "hsm"},
		empty: func() object { return &v1alpha1.HSMCluster{} }, list: func() client.ObjectList { return &v1alpha1.HSMClusterList{} },
		names: about(func(h *v1alpha1.HSMCluster) []string { return []string{h.Status.ClusterID} }),
	},
	identity("IAMUser", "iamusers", func() object { return &v1alpha1.IAMUser{} }, func() client.ObjectList { return &v1alpha1.IAMUserList{} },
		about(func(o *v1alpha1.IAMUser) string { return o.Status.ARN }), about(func(o *v1alpha1.IAMUser) []string { return []string{o.AWSName()} })),
	identity("IAMGroup", "iamgroups", func() object { return &v1alpha1.IAMGroup{} }, func() client.ObjectList { return &v1alpha1.IAMGroupList{} },
		about(func(o *v1alpha1.IAMGroup) string { return o.Status.ARN }), about(func(o *v1alpha1.IAMGroup) []string { return []string{o.AWSName()} })),
	identity("IAMRole", "iamroles", func() object { return &v1alpha1.IAMRole{} }, func() client.ObjectList { return &v1alpha1.IAMRoleList{} },
		about(func(o *v1alpha1.IAMRole) string { return o.Status.ARN }), about(func(o *v1alpha1.IAMRole) []string { return []string{o.AWSName()} })),
	identity("IAMPolicy", "iampolicies", func() object { return &v1alpha1.IAMPolicy{} }, func() client.ObjectList { return &v1alpha1.IAMPolicyList{} },
		about(func(o *v1alpha1.IAMPolicy) string { return o.Status.ARN }), about(func(o *v1alpha1.IAMPolicy) []string { return []string{o.AWSName()} })),
}

// identity is a kind of IAM.
func identity(name, plural string, empty func() object, list func() client.ObjectList, arn func(object) string, names func(object) []string) kind {
	return kind{name: name, aliases: []string{plural}, empty: empty, list: list, arn: arn, names: names}
}

func versionsOfSecret(s *v1alpha1.Secret) (out []version) {
	for _, v := range s.Status.Versions {
		out = append(out, version{ID: v.VersionID, Number: v.Sequence, Labels: v.Stages, Created: v.CreatedTime})
	}
	return out
}

func versionsOfParameter(p *v1alpha1.Parameter) (out []version) {
	for _, v := range p.Status.Versions {
		out = append(out, version{ID: number(v.Version), Number: v.Version, Labels: v.Labels, Created: v.CreatedTime})
	}
	return out
}

func materialsOf(k *v1alpha1.KMSKey) (out []version) {
	for _, m := range k.Status.KeyMaterials {
		labels := []string{string(m.State)}
		if m.RotationType != "" {
			labels = append(labels, string(m.RotationType))
		}
		out = append(out, version{ID: m.ID, Number: m.Sequence, Labels: labels, Created: m.CreatedTime})
	}
	return out
}

func epochsOf(k *v1alpha1.Keyring) (out []version) {
	for _, e := range k.Status.Epochs {
		v := version{ID: number(e.Epoch), Number: e.Epoch, Labels: []string{number(e.Envelopes) + " Envelopes"}}
		if e.Epoch == k.Status.CurrentEpoch {
			v.Labels = append(v.Labels, "CURRENT")
		}
		if e.CreatedTime != nil {
			v.Created = *e.CreatedTime
		}
		out = append(out, v)
	}
	return out
}

// kindOf finds a kind by its name, plural or short name, in any case.
func kindOf(name string) (kind, bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool {
		return strings.EqualFold(k.name, name) || slices.Contains(k.aliases, strings.ToLower(name))
	})
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// kindsThat are the names of the kinds that fit, for messages and shells.
func kindsThat(fit func(kind) bool) (out []string) {
	for _, k := range kinds {
		if fit(k) {
			out = append(out, strings.ToLower(k.name))
		}
	}
	return out
}

func anyKind(kind) bool      { return true }
func rotates(k kind) bool    { return k.handled != nil }
func hasHistory(k kind) bool { return k.history != nil }

// is tells whether an object of the kind is meant: by its name, its ARN, or what else AWS knows it by.
func (k kind) is(o object, ref string) bool {
	return o.GetName() == ref || k.arn != nil && k.arn(o) == ref || k.names != nil && slices.Contains(k.names(o), ref)
}

// made tells one value of an object from another: the id of the version in force, which is its newest one where nothing else is said, or the serial number of its certificate; empty if there is none. A rotation
// that failed has made the version already that the next attempt brings in.
func (k kind) made(o object) string {
	switch {
	case k.serial != nil:
		return k.serial(o)
	case k.inForce != nil:
		return k.inForce(o)
	}
	if k.history == nil {
		return ""
	}
	newest := version{}
	for _, v := range k.history(o) {
		if v.Number > newest.Number {
			newest = v
		}
	}
	return newest.ID
}

// arnOf is empty if the kind has none, or the object none yet.
func (k kind) arnOf(o object) string {
	if k.arn == nil {
		return ""
	}
	return k.arn(o)
}

// condition of an object; one that is not there has the status Unknown.
func condition(o object, name string) metav1.Condition {
	c := meta.FindStatusCondition(o.GetConditions(), name)
	return *cmp.Or(c, &metav1.Condition{Type: name, Status: metav1.ConditionUnknown})
}
