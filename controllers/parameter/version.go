package parameter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/generation"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

var (
	errNoValue     = errors.New("the parameter has no value yet: put one with PutParameter, or set spec.value, spec.generate, spec.valueFrom or spec.sealed")
	errHistoryFull = errors.New("the oldest of the parameter's 100 versions has a label, so no version can be made: take the label from it")
)

// version makes sure that there is a version, and makes the next one if spec has another value than the latest, or asks for one.
// Spec is the user's, so it wins: over the API too, which therefore refuses to put a value while spec has one.
func (r *Reconciler) version(ctx context.Context, p *pass) error {
	spec := &p.parameter.Spec
	p.importedFrom = p.parameter.Status.ImportedFrom
	switch {
	case p.foundFrom != "":
		p.importedFrom = p.foundFrom
	case p.found && spec.Sealed == "": // a sealed value is compared with the version that was found, which may be the API's
		p.importedFrom = sourceOf(p.parameter)
	}
	asked := p.requested() != "" && p.requested() != p.parameter.Status.LastHandledRotateAt && !p.found
	var err error
	switch {
	case spec.Value != "":
		err = r.putIfOther(ctx, p, secretbytes.Copy([]byte(spec.Value)))
	case spec.ValueFrom != nil:
		err = r.importValue(ctx, p, asked)
	case spec.Sealed != "":
		err = r.openSealed(ctx, p)
	case spec.Generate != nil && (len(p.index) == 0 || asked):
		err = r.generate(ctx, p)
	case len(p.index) == 0:
		err = fault.Waiting(v1alpha1.ReasonNoValue, errNoValue)
	default:
		err = r.ready(ctx, p)
	}
	p.versioned = err == nil
	return err
}

// ready says whether the next version could be made, long before it is wanted.
func (r *Reconciler) ready(ctx context.Context, p *pass) error {
	if p.parameter.Spec.Type != v1alpha1.ParameterSecureString {
		return nil
	}
	if spec := p.parameter.Spec.Generate; spec != nil {
		if err := generation.Validate(spec); err != nil {
			return err
		}
	}
	return r.Parameters.KMS.ReadyOrOwn(ctx, p.parameter.Namespace, p.parameter.Spec.KMSKeyRef, parameterstore.OwnKey)
}

// generate makes a value. One that the pattern refuses is told: no value that was tried is kept.
func (r *Reconciler) generate(ctx context.Context, p *pass) error {
	if err := generation.Validate(p.parameter.Spec.Generate); err != nil {
		return err
	}
	value, err := generation.Of(p.parameter.Spec.Generate).Generate(nil)
	if err != nil {
		return err
	}
	p.importedFrom = ""
	return r.put(ctx, p, value)
}

// importValue makes a version of the source's value: once, or whenever it differs from the latest. The source is read live and by
// name.
func (r *Reconciler) importValue(ctx context.Context, p *pass, asked bool) error {
	source := p.parameter.Spec.ValueFrom
	follows := source.Policy == v1alpha1.ImportFollow
	if imported := len(p.index) > 0 && p.importedFrom == sourceOf(p.parameter); imported && !follows && !asked {
		return r.ready(ctx, p)
	}
	if err := imports.Check(ctx, r.Client, p.parameter); err != nil {
		return err
	}
	ref := source.SecretKeyRef
	read, err := imports.Reader{Live: r.Live, Reserved: r.Projector.Reserved}.Read(ctx, p.parameter.Namespace, ref.Name, "spec.valueFrom", ref.Key)
	if err != nil {
		return err
	}
	defer read.Wipe()
	if follows && !read.Labelled {
		p.lookAgain(imports.FollowInterval)
	}
	return r.importIfOther(ctx, p, secretbytes.Own(read.Data[ref.Key]))
}

// importIfOther makes a version of a source's value unless the latest has it.
func (r *Reconciler) importIfOther(ctx context.Context, p *pass, value secretbytes.Bytes) error {
	has, err := r.has(ctx, p, value)
	if err != nil {
		return err
	}
	follows := p.parameter.Spec.ValueFrom.Policy == v1alpha1.ImportFollow
	if wait := imports.Hold(p.index, p.now); follows && !has && wait > 0 {
		p.lookAgain(wait)
		return nil
	}
	if err := r.putIfOther(ctx, p, secretbytes.Copy(value.Reveal())); err != nil {
		return err
	}
	p.importedFrom = sourceOf(p.parameter)
	return nil
}

// sourceOf names the source of an imported value, as status does.
func sourceOf(parameter *v1alpha1.Parameter) string {
	return imports.NameOf(parameter.Spec.Sealed, parameter.Spec.ValueFrom)
}

// putIfOther makes a version of a value unless the latest has it. It takes the value over.
func (r *Reconciler) putIfOther(ctx context.Context, p *pass, value secretbytes.Bytes) error {
	has, err := r.has(ctx, p, value)
	if err == nil && !has {
		return r.put(ctx, p, value)
	}
	value.Wipe()
	if err != nil {
		return err
	}
	return r.ready(ctx, p)
}

// has tells whether the latest version has a value.
func (r *Reconciler) has(ctx context.Context, p *pass, value secretbytes.Bytes) (bool, error) {
	err := r.open(ctx, p)
	return err == nil && len(p.index) > 0 && p.value.Equal(value), err
}

// open reads the latest version's value into the pass, if there is one and it is not there yet.
func (r *Reconciler) open(ctx context.Context, p *pass) error {
	latest, ok := parameterstore.Latest(p.index)
	if !ok || p.value.Len() > 0 { // a value is never empty
		return nil
	}
	found, err := r.Parameters.Versions().Fetch(ctx, p.subject(), latest)
	if err == nil {
		p.secure = parameterstore.TypeOf(p.parameter, found) == v1alpha1.ParameterSecureString
		p.value, err = r.Parameters.Versions().Open(ctx, found)
	}
	if (errors.Is(err, store.ErrMissing) || errors.Is(err, store.ErrTampered)) && !parameterstore.DeclaresValue(p.parameter) {
		return fmt.Errorf("%w, or put another value (PutParameter with Overwrite): it becomes the next version, and this one stays lost", err)
	}
	return err
}

// put stores a value as the next version. It takes the value over.
func (r *Reconciler) put(ctx context.Context, p *pass, value secretbytes.Bytes) error {
	version, made, err := r.store(ctx, p, value)
	if err != nil || !made { // an earlier attempt's, whose value is another
		value.Wipe()
	}
	if err != nil {
		return err
	}
	p.value.Wipe()
	if p.value = (secretbytes.Bytes{}); made {
		p.value, p.secure = value, p.parameter.Spec.Type == v1alpha1.ParameterSecureString
	}
	p.index = p.index.Add(version)
	return nil
}

func (r *Reconciler) store(ctx context.Context, p *pass, value secretbytes.Bytes) (v versions.Version, made bool, err error) {
	if err := parameterstore.CheckValue(p.parameter, value); err != nil {
		return v, false, err
	}
	if p.index.CheckRoom() != nil {
		return v, false, fault.Stalled(v1alpha1.ReasonTooManyVersions, errHistoryFull)
	}
	var key *v1alpha1.KMSKey
	if p.parameter.Spec.Type == v1alpha1.ParameterSecureString {
		key, err = r.Parameters.KMS.KeyOrOwn(ctx, p.parameter.Namespace, p.parameter.Spec.KMSKeyRef, parameterstore.OwnKey)
		if err != nil {
			return v, false, err
		}
	}
	sequence := p.index.Last() + 1
	return r.Parameters.Versions().Put(ctx, p.subject(), sealed.Content{
		ID: versions.Number(sequence), Sequence: sequence, Key: key, Value: value,
	})
}

// requested is the rotate annotation as status echoes it.
func (p *pass) requested() string {
	return conditions.Echo(p.parameter.Annotations[v1alpha1.RotateAnnotation])
}

// lookAgain asks for another pass after d, or sooner if something else asks for it.
func (p *pass) lookAgain(d time.Duration) {
	if p.requeue == 0 || d < p.requeue {
		p.requeue = d
	}
}
