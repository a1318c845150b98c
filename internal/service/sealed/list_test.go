package sealed_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"testing/iotest"
	"time"

	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/sealed"
)

func TestAListOfAStatusIsTheIndexThatItWasMadeOf(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 2))
	for range 100 {
		ix := versions.Index{}
		for n := range random.IntN(30) {
			v := versions.Version{
				ID: fmt.Sprint("v", random.Uint32()), Sequence: int64(n + 1), Created: time.Unix(random.Int64N(4e9), 0).UTC(),
			}
			for range random.IntN(3) {
				v.Stages = append(v.Stages, fmt.Sprint("s", random.Uint32()))
			}
			ix = append(ix, v)
		}
		if back := sealed.IndexOf(sealed.ListOf(ix)); fmt.Sprint(back) != fmt.Sprint(ix) {
			t.Fatalf("seed %d: %v came back as %v", seed, ix, back)
		}
	}
}

func TestVersionsWithoutAStageGoAndNoOthers(t *testing.T) {
	ix := versions.Index{{ID: "a"}, {ID: "b", Stages: []string{"x"}}, {ID: "c"}, {ID: "d", Stages: []string{"y", "z"}}}
	staying, gone := sealed.Staged(ix)
	if fmt.Sprint(ids(staying), ids(gone)) != "[b d] [a c]" {
		t.Error(ids(staying), ids(gone))
	}
	if staying, gone := sealed.Staged(nil); staying != nil || gone != nil {
		t.Error(staying, gone)
	}
}

func ids(ix versions.Index) (out []string) {
	for _, v := range ix {
		out = append(out, v.ID)
	}
	return out
}

func TestAnIDIsAUUIDOfVersion4OfTheRandomBytes(t *testing.T) {
	id, err := sealed.NewID(bytes.NewReader(bytes.Repeat([]byte{0xff}, 16)))
	if err != nil || id != "ffffffff-ffff-4fff-bfff-ffffffffffff" {
		t.Error(id, err)
	}
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 100 {
		id, err := sealed.NewID(nil)
		if err != nil || !form.MatchString(id) {
			t.Fatal(id, err)
		}
		seen[id] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d different ids of 100", len(seen))
	}
	if _, err := sealed.NewID(iotest.ErrReader(fmt.Errorf("no entropy"))); err == nil {
		t.Error("an id was made without random bytes")
	}
}
