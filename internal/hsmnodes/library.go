package hsmnodes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// softHSMLibrary is Debian's, which is in the image of Dockerfile.hsm.
const softHSMLibrary = "/usr/lib/softhsm/libsofthsm2.so"

// DefaultLibraries are where SoftHSM is: in Debian's package and those of its architectures, in Fedora's, built from source, and Homebrew's.
var DefaultLibraries = []string{
	softHSMLibrary, "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so",
}

var (
	// ErrLibraryNotAllowed says that an HSMCluster names a library that the operator did not let nodes load.
	ErrLibraryNotAllowed = errors.New("the operator does not let nodes load that PKCS#11 library")
	// ErrNoLibrary says that a library is not on this machine.
	ErrNoLibrary = errors.New("the PKCS#11 library is not here")
)

// checkLibrary says whether a cluster's nodes may load the library that it names. A library is code that runs as the node: a path that users choose could name any file that
// they have a part in, such as the node's own with their PIN. So it is a list of whole paths, compared byte by byte.
func checkLibrary(c Cluster, libraries []string) error {
	if len(libraries) == 0 {
		libraries = DefaultLibraries
	}
	if library, _ := c.module(); !c.SoftHSM && !slices.Contains(libraries, library) {
		return fmt.Errorf("%w: %s; it lets %s: name one of these in spec.pkcs11.library, or have it added to the manager's --hsm-libraries", ErrLibraryNotAllowed, library, strings.Join(libraries, ", "))
	}
	return nil
}
