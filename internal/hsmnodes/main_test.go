package hsmnodes_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"strongroom.dev/strongroom/internal/cmd"
	"strongroom.dev/strongroom/internal/hsmnodes"
)

const asStrongroom = "STRONGROOMTEST_AS_STRONGROOM"

// TestMain makes this test's binary the program that HSM nodes are.
func TestMain(m *testing.M) {
	if os.Getenv(asStrongroom) != "" {
		os.Exit(cmd.Execute(context.Background()))
	}
	os.Exit(m.Run())
}

func strongroom(arguments ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], arguments...)
	c.Env = append(os.Environ(), asStrongroom+"=1")
	return c
}

// anyToken lets all namespaces use all tokens of a library.
func anyToken(library string) []hsmnodes.Library {
	return []hsmnodes.Library{{Path: library, TokenLabel: "*", Namespace: "*"}}
}
