package render

import (
	"maps"
	"slices"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Dependent are the keys whose data would be other, or could not be rendered, without the source of an alias: those that show something of it. Without templates nothing
// shows a source. The work of both renderings is bounded as that of Data is; a key that exceeds it is taken for one that depends.
func Dependent(templates map[string]string, v Value, alias string) (keys []string, err error) {
	if _, has := v.Sources[alias]; !has || len(templates) == 0 {
		return nil, nil
	}
	compiled, err := compileAll(templates)
	if err != nil {
		return nil, err
	}
	without := v
	without.Sources = maps.Clone(v.Sources)
	delete(without.Sources, alias)
	secretbytes.Do(func() {
		var with, lacking map[string]secretbytes.Bytes
		if with, err = each(compiled, v); err != nil {
			return
		}
		defer wipeAll(with)
		if lacking, err = each(compiled, without); err != nil {
			return
		}
		defer wipeAll(lacking)
		for _, k := range compiled {
			same, there := lacking[k.key]
			if whole, is := with[k.key]; !is || !there || !whole.Equal(same) {
				keys = append(keys, k.key)
			}
		}
	})
	slices.Sort(keys)
	return keys, err
}

// each renders those keys that can be, within one budget for all.
func each(compiled []keyed, v Value) (map[string]secretbytes.Bytes, error) {
	dot, err := dotOf(v)
	if err != nil {
		return nil, err
	}
	out := make(map[string]secretbytes.Bytes, len(compiled))
	work := &budget{output: MaximumOutput, work: maximumWork}
	functions := work.functions()
	for _, k := range compiled {
		text := &limitedBuffer{budget: work}
		if err := k.template.Funcs(functions).Execute(text, dot); err != nil {
			wiped := secretbytes.Own(text.Bytes())
			wiped.Wipe()
			continue
		}
		out[k.key] = secretbytes.Own(text.Bytes())
	}
	return out, nil
}

func wipeAll(data map[string]secretbytes.Bytes) {
	for _, b := range data {
		b.Wipe()
	}
}
