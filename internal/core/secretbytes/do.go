//go:build goexperiment.runtimesecret

package secretbytes

import "runtime/secret"

// Do runs f and erases what f left in registers and on the stack at once, and on the heap when it is collected.
// Work on plaintext belongs inside. In builds without GOEXPERIMENT=runtimesecret it only runs f.
func Do(f func()) { secret.Do(f) }
