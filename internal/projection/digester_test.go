package projection_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"testing"
	"testing/quick"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/projection"
)

// cachedBy is a core Secret as a digester's cache keeps it.
func cachedBy(t *testing.T, d *projection.Digester, data map[string][]byte) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{Data: map[string][]byte{}, ObjectMeta: metav1.ObjectMeta{
		Labels: map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedProjection},
	}}
	controlledBy("Secret", "db", "mine")(s)
	showing("arn:db")(s)
	for k, v := range data {
		s.Data[k] = bytes.Clone(v)
	}
	out, err := d.Transform()(s)
	if err != nil {
		t.Fatal(err)
	}
	return out.(*corev1.Secret)
}

func TestWhatWasProjectedIsInSyncAndWhatDiffersInABitIsNot(t *testing.T) {
	d := projection.NewDigester()
	property := func(data map[string][]byte, seed uint64) bool {
		target := &projection.Target{Name: "db", Owner: owner, Data: map[string]secretbytes.Bytes{}}
		for k, v := range data {
			target.Data[k] = secretbytes.Copy(v)
		}
		if !projection.InSync(target, cachedBy(t, d, data), d.Digest) {
			return false
		}
		r := rand.New(rand.NewPCG(seed, 0))
		for k, v := range data { // of one value, a bit, the length, or its place
			changed := maps.Clone(data)
			switch changed[k] = bytes.Clone(v); {
			case len(v) > 0 && seed%2 == 0:
				changed[k][r.IntN(len(v))] ^= 1 << r.IntN(8)
			default:
				changed[k] = append(changed[k], 0)
			}
			if projection.InSync(target, cachedBy(t, d, changed), d.Digest) {
				return false
			}
			delete(changed, k)
			changed[k+"x"] = v
			return !projection.InSync(target, cachedBy(t, d, changed), d.Digest)
		}
		return true
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestTransformingAnyNumberOfTimesIsTransformingOnce(t *testing.T) {
	d := projection.NewDigester()
	property := func(data map[string][]byte, times uint8) bool {
		first := cachedBy(t, d, data)
		kept := first.DeepCopy()
		for range times % 5 {
			again, err := d.Transform()(first)
			if err != nil || again != any(first) {
				return false
			}
		}
		return maps.EqualFunc(first.Data, kept.Data, bytes.Equal)
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

// A stranger cannot make the cache take a value of theirs for a digest: not another process's, nor a part of one.
func TestAValueThatLooksLikeADigestIsDigested(t *testing.T) {
	d, other := projection.NewDigester(), projection.NewDigester()
	foreign := other.Digest("k", []byte("v"))
	own := d.Digest("k", []byte("v"))
	for name, v := range map[string][]byte{
		"another process's": foreign, "one's own, cut": own[:len(own)-1], "one's own, longer": append(bytes.Clone(own), 0),
		"one's own without its mark": own[16:], "zeros": make([]byte, len(own)),
	} {
		if got := cachedBy(t, d, map[string][]byte{"k": v}).Data["k"]; !bytes.Equal(got, d.Digest("k", v)) {
			t.Errorf("%s is kept as it is", name)
		}
	}
}

func TestDigestsTellNothingOfLengthAndDoNotCollide(t *testing.T) {
	d := projection.NewDigester()
	seen := map[string][2]string{}
	property := func(key string, value []byte) bool {
		digest := d.Digest(key, value)
		at, known := seen[string(digest)]
		seen[string(digest)] = [2]string{key, string(value)}
		return len(digest) == 48 && (!known || at == [2]string{key, string(value)})
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 1000}); err != nil {
		t.Error(err)
	}
	for _, n := range []int{0, 1, 64, 65536} {
		if !property("k", make([]byte, n)) {
			t.Errorf("a value of %d bytes", n)
		}
	}
}

func TestADigesterNeverKeepsTheBytesThatItWasGiven(t *testing.T) {
	d := projection.NewDigester()
	value := []byte("hunter2")
	digest := d.Digest("k", value)
	clear(value)
	if !bytes.Equal(digest, d.Digest("k", []byte("hunter2"))) {
		t.Error("the digest changes with the caller's bytes")
	}
	digest[0] ^= 1 // a caller's change of a digest is not the digester's
	if bytes.Equal(digest, d.Digest("k", []byte("hunter2"))) {
		t.Error("the mark is shared with callers")
	}
}
