package hsmnodes

import (
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
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
	// ErrLibraryNotAllowed says that an HSMCluster names a library that the operator did not let nodes load, or a token of it that its namespace may not use.
	ErrLibraryNotAllowed = errors.New("the operator does not let nodes load that PKCS#11 library")
	// ErrNoLibrary says that a library is not on this machine.
	ErrNoLibrary = errors.New("the PKCS#11 library is not here")

	errLibrarySyntax = errors.New("give PATH or PATH=TOKEN-LABEL@NAMESPACE, with an absolute path, such as /opt/vendor/lib/libpkcs11.so=payments@bank")

	tokenLabelSyntax = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,32}$`) // as spec.pkcs11.tokenLabel
	namespaceSyntax  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// anyone stands for all token labels, or all namespaces.
const anyone = "*"

// Library is a PKCS#11 library that HSMClusters may name, and for which token and from which namespace they may.
type Library struct {
	// Path is whole, and compared byte by byte.
	Path string
	// TokenLabel and Namespace are those that it is for. A "*" is for any.
	TokenLabel, Namespace string
}

// ParseLibraries reads what --hsm-libraries says:
//
//	PATH                        any token, for HSMClusters of Strongroom's own namespace, which is own
//	PATH=TOKEN-LABEL@NAMESPACE  that token, for HSMClusters of that namespace; either may be *
//
// A token takes a few wrong PINs before it locks, whoever gives them. So a path alone lets nobody in but those who own the installation: a tenant who could name the token of another could use up its tries.
func ParseLibraries(entries []string, own string) ([]Library, error) {
	out := make([]Library, 0, len(entries))
	for _, entry := range entries {
		l := Library{Path: entry, TokenLabel: anyone, Namespace: own}
		if file, binding, bound := strings.Cut(entry, "="); bound {
			label, namespace, _ := strings.Cut(binding, "@")
			l = Library{Path: file, TokenLabel: label, Namespace: namespace}
			if label != anyone && !tokenLabelSyntax.MatchString(label) || namespace != anyone && !namespaceSyntax.MatchString(namespace) {
				return nil, fmt.Errorf("--hsm-libraries has %q: %w", entry, errLibrarySyntax)
			}
		}
		if !path.IsAbs(l.Path) || path.Clean(l.Path) != l.Path || l.Path == "/" || strings.ContainsAny(l.Path, "@*") {
			return nil, fmt.Errorf("--hsm-libraries has %q: %w", entry, errLibrarySyntax)
		}
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out, nil
}

// lets tells whether HSMClusters of a namespace may use a token of the library.
func (l Library) lets(label, namespace string) bool {
	return (l.TokenLabel == anyone || l.TokenLabel == label) && l.in(namespace)
}

func (l Library) in(namespace string) bool { return l.Namespace == anyone || l.Namespace == namespace }

// checkLibrary says whether a cluster's nodes may load the library that it names, and use the token. A library is code that runs as the node: a path that users choose could name any file that
// they have a part in, such as the node's own with their PIN. So it is a list of whole paths, compared byte by byte. What other namespaces may use is none of this one's business, and is not told.
func checkLibrary(c Cluster, libraries []Library) error {
	if c.SoftHSM { // its tokens are the nodes' own
		return nil
	}
	library, label := c.module()
	namespace, _, _ := strings.Cut(c.Owner, "/")
	var own []string
	for _, l := range libraries {
		switch {
		case !l.in(namespace):
		case l.Path == library && l.lets(label, namespace):
			return nil
		case l.TokenLabel == anyone:
			own = append(own, l.Path)
		default:
			own = append(own, fmt.Sprintf("%s with tokenLabel %s", l.Path, l.TokenLabel))
		}
	}
	lets := "none"
	if len(own) > 0 {
		lets = strings.Join(own, ", ") + ": name one of these in spec.pkcs11"
	}
	return fmt.Errorf("%w: %s, token %s, for HSMClusters of namespace %s; it lets that namespace %s, or have %s=%s@%s added to the manager's --hsm-libraries",
		ErrLibraryNotAllowed, library, label, namespace, lets, library, label, namespace)
}

// module is the first library of a list that is the same as one, or that one itself.
func module(library string, libraries []Library, same func(a, b string) bool) string {
	for _, l := range libraries {
		if l.Path == library || same(l.Path, library) {
			return l.Path
		}
	}
	return library
}

// isOneFile tells whether two paths lead to one file of this machine.
func isOneFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// areSoftHSM tells whether two paths are where SoftHSM is, which an image has once: Debian's package has it at two of them.
func areSoftHSM(a, b string) bool {
	return slices.Contains(DefaultLibraries, a) && slices.Contains(DefaultLibraries, b)
}
