package store_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"

	"strongroom.dev/strongroom/test/environment"
)

func TestStoreOnAnAPIServer(t *testing.T) {
	environment.Specs(t, "Store")
}

var (
	ctx   = context.Background()
	world *environment.World
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() { world.Fresh() })
