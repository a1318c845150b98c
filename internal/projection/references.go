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

// renameReferences passes each name of a core Secret in a pod's spec through a function, and tells whether it changed one: volumes, projected
// volumes, environment variables, and secrets for pulling images.
func renameReferences(podSpec map[string]any, rename func(name string) string) (changed bool) {
	at := func(object map[string]any, member string) {
		name, ok := object[member].(string)
		if !ok {
			return
		}
		if to := rename(name); to != name {
			object[member], changed = to, true
		}
	}
	for _, volume := range nested(podSpec, "volumes") {
		for _, secret := range nested(volume, "secret") {
			at(secret, "secretName")
		}
		for _, source := range nested(volume, "projected", "sources") {
			for _, secret := range nested(source, "secret") {
				at(secret, "name")
			}
		}
	}
	for _, kind := range []string{"containers", "initContainers", "ephemeralContainers"} {
		for _, container := range nested(podSpec, kind) {
			for _, variable := range nested(container, "env") {
				for _, ref := range nested(variable, "valueFrom", "secretKeyRef") {
					at(ref, "name")
				}
			}
			for _, source := range nested(container, "envFrom") {
				for _, ref := range nested(source, "secretRef") {
					at(ref, "name")
				}
			}
		}
	}
	for _, ref := range nested(podSpec, "imagePullSecrets") {
		at(ref, "name")
	}
	return changed
}
