package projection

// Objects are looked at as JSON here: a pod's spec is the same in all kinds that have one, be they known to the program or not.

// nested are the members of an object, or the elements of an array, at a path of members. It is empty if there are none.
func nested(object any, path ...string) []map[string]any {
	at := object
	for _, member := range path {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[member]
	}
	switch v := at.(type) {
	case map[string]any:
		return []map[string]any{v}
	case []any:
		var out []map[string]any
		for _, element := range v {
			if m, ok := element.(map[string]any); ok {
				out = append(out, m)
			}
		}
		return out
	}
	return nil
}

// renaming is a function for names of core Secrets, and whether it has changed one.
type renaming struct {
	rename  func(name string) string
	changed bool
}

// at passes the name in a member through the function.
func (r *renaming) at(objects []map[string]any, member string) {
	for _, object := range objects {
		name, ok := object[member].(string)
		if !ok {
			continue
		}
		if to := r.rename(name); to != name {
			object[member], r.changed = to, true
		}
	}
}

func (r *renaming) volume(volume map[string]any) {
	r.at(nested(volume, "secret"), "secretName")
	for _, source := range nested(volume, "projected", "sources") {
		r.at(nested(source, "secret"), "name")
	}
}

func (r *renaming) container(container map[string]any) {
	for _, variable := range nested(container, "env") {
		r.at(nested(variable, "valueFrom", "secretKeyRef"), "name")
	}
	for _, source := range nested(container, "envFrom") {
		r.at(nested(source, "secretRef"), "name")
	}
}

// renameReferences passes each name of a core Secret in a pod's spec through a function, and tells whether it changed one: volumes, projected
// volumes, environment variables, and secrets for pulling images.
func renameReferences(podSpec map[string]any, rename func(name string) string) (changed bool) {
	r := &renaming{rename: rename}
	for _, volume := range nested(podSpec, "volumes") {
		r.volume(volume)
	}
	for _, kind := range []string{"containers", "initContainers", "ephemeralContainers"} {
		for _, container := range nested(podSpec, kind) {
			r.container(container)
		}
	}
	r.at(nested(podSpec, "imagePullSecrets"), "name")
	return r.changed
}
