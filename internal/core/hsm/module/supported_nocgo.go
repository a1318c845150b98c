//go:build !cgo

package module

import (
	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/child"
)

// Supported tells whether this build can load PKCS#11 modules.
const Supported = false

// Handlers are what the child process serves, and fail with hsm.ErrNoPKCS11 in this build.
func Handlers() (map[child.Method]child.Handler, error) { return nil, hsm.ErrNoPKCS11 }
