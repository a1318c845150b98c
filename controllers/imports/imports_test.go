package imports_test

import (
	"testing"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/internal/core/versions"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// made are versions of so many seconds before noon, the last of which has a sequence number.
func made(last int64, secondsAgo ...int) versions.Index {
	var ix versions.Index
	for i, s := range secondsAgo {
		ix = append(ix, versions.Version{Sequence: last - int64(len(secondsAgo)-1-i), Created: noon.Add(-time.Duration(s) * time.Second)})
	}
	return ix
}

func TestAFollowedSourceMakesFiveVersionsAMinute(t *testing.T) {
	for name, tt := range map[string]struct {
		index versions.Index
		wait  time.Duration
	}{
		"none yet":                                      {nil, 0},
		"four at once":                                  {made(4, 0, 0, 0, 0), 0},
		"five at once":                                  {made(5, 0, 0, 0, 0, 0), time.Minute},
		"five, the first 59 s ago":                      {made(5, 59, 3, 2, 1, 0), time.Second},
		"five, the first a minute ago":                  {made(5, 60, 3, 2, 1, 0), 0},
		"six, of which five in the last minute":         {made(6, 61, 50, 40, 30, 20, 10), 10 * time.Second},
		"two kept of four":                              {made(4, 0, 0), 0},
		"two kept of five, made at once":                {made(5, 0, 0), 24 * time.Second},
		"two kept of many, the elder 23 s ago":          {made(90, 23, 0), time.Second},
		"two kept of many, the elder 24 s ago":          {made(90, 24, 0), 0},
		"one kept of many, just now":                    {made(90, 0), 12 * time.Second},
		"of a clock that was set back, without a panic": {made(9, -3600, -3600, -3600, -3600, -3600), 61 * time.Minute},
	} {
		if got := imports.Hold(tt.index, noon); got != tt.wait {
			t.Errorf("%s: waits %s, want %s", name, got, tt.wait)
		}
	}
}

// Whatever is kept of the versions, the rate is the same in the long run: five a minute.
func TestTheRateIsTheSameHoweverManyVersionsAreKept(t *testing.T) {
	for _, kept := range []int{1, 2, 3, 5, 100} {
		var ix versions.Index
		for now := noon; now.Sub(noon) < time.Hour; now = now.Add(time.Second) {
			if imports.Hold(ix, now) > 0 {
				continue
			}
			ix = append(ix, versions.Version{Sequence: ix.Last() + 1, Created: now})
			ix = ix[max(0, len(ix)-kept):]
		}
		if n := ix.Last(); n < 295 || n > 310 {
			t.Errorf("%d kept: %d versions in an hour of a source that changes each second", kept, n)
		}
	}
}

func TestWhatIsFollowedAndWrittenIsNamed(t *testing.T) {
	from := func(policy v1alpha1.ImportPolicy) *v1alpha1.SecretValueSource {
		return &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "source", Key: "k"}, Policy: policy}
	}
	secret := func(change func(*v1alpha1.Secret)) imports.Follower {
		s := &v1alpha1.Secret{}
		s.Name = "own"
		change(s)
		return s
	}
	parameter := func(change func(*v1alpha1.Parameter)) imports.Follower {
		p := &v1alpha1.Parameter{}
		p.Name = "own"
		change(p)
		return p
	}
	certificate := func(change func(*v1alpha1.Certificate)) imports.Follower {
		c := &v1alpha1.Certificate{}
		c.Name = "own"
		change(c)
		return c
	}
	for name, tt := range map[string]struct {
		f                imports.Follower
		followed, target string
	}{
		"a Secret of neither":               {secret(func(*v1alpha1.Secret) {}), "", ""},
		"a Secret that imports once":        {secret(func(s *v1alpha1.Secret) { s.Spec.ValueFrom = from(v1alpha1.ImportOnce) }), "", ""},
		"a Secret that follows":             {secret(func(s *v1alpha1.Secret) { s.Spec.ValueFrom = from(v1alpha1.ImportFollow) }), "source", ""},
		"a Secret's target of its own name": {secret(func(s *v1alpha1.Secret) { s.Spec.Target = &v1alpha1.SecretTarget{} }), "", "own"},
		"a Secret's target":                 {secret(func(s *v1alpha1.Secret) { s.Spec.Target = &v1alpha1.SecretTarget{Name: "t"} }), "", "t"},
		"a Parameter that follows":          {parameter(func(p *v1alpha1.Parameter) { p.Spec.ValueFrom = from(v1alpha1.ImportFollow) }), "source", ""},
		"a Parameter with no policy":        {parameter(func(p *v1alpha1.Parameter) { p.Spec.ValueFrom = from("") }), "", ""},
		"a Parameter's ConfigMap is no core Secret": {parameter(func(p *v1alpha1.Parameter) {
			p.Spec.Target = &v1alpha1.ParameterTarget{ConfigMap: &v1alpha1.ParameterTargetKey{Name: "t"}}
		}), "", ""},
		"a Parameter's core Secret": {parameter(func(p *v1alpha1.Parameter) {
			p.Spec.Target = &v1alpha1.ParameterTarget{Secret: &v1alpha1.ParameterTargetKey{Name: "t"}}
		}), "", "t"},
		"a Parameter's core Secret of its own name": {parameter(func(p *v1alpha1.Parameter) {
			p.Spec.Target = &v1alpha1.ParameterTarget{Secret: &v1alpha1.ParameterTargetKey{}}
		}), "", "own"},
		"a Certificate that follows": {certificate(func(c *v1alpha1.Certificate) {
			c.Spec.ImportFrom = &v1alpha1.CertificateSource{SecretRef: v1alpha1.LocalReference{Name: "source"}, Policy: v1alpha1.ImportFollow}
			c.Spec.Target = &v1alpha1.CertificateTarget{Name: "t"}
		}), "source", "t"},
		"a Certificate that imports once": {certificate(func(c *v1alpha1.Certificate) {
			c.Spec.ImportFrom = &v1alpha1.CertificateSource{SecretRef: v1alpha1.LocalReference{Name: "source"}}
		}), "", ""},
	} {
		if tt.f.FollowedSource() != tt.followed || tt.f.TargetName() != tt.target {
			t.Errorf("%s: follows %q and writes %q", name, tt.f.FollowedSource(), tt.f.TargetName())
		}
	}
}
