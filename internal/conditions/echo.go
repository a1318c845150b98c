package conditions

import (
	"crypto/sha256"
	"encoding/hex"
)

// maximumEcho is the length of an annotation that status repeats as it is, in bytes: the schema's limit.
const maximumEcho = 1024

// Echo is what status repeats of an annotation that asked for something: its value, or a digest of one that is longer than
// status holds. Annotations may have 256 KiB, and a status that cannot be written commits nothing.
func Echo(annotation string) string {
	if len(annotation) <= maximumEcho {
		return annotation
	}
	sum := sha256.Sum256([]byte(annotation))
	return "sha256:" + hex.EncodeToString(sum[:])
}
