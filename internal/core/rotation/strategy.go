package rotation

import "strings"

// Strategy says whose password a rotation changes.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotation-strategy.html
type Strategy string

// The strategies.
const (
	// SingleUser changes the password of the one user. Between setSecret and the moment at which workloads have the new value,
	// new connections with the old password fail, unless the engine lets a user have several: then the
	// former one stays good until the next rotation.
	SingleUser Strategy = "SingleUser"
	// AlternatingUsers changes the password of the user that is not in use, and then has workloads use that one. The credential that
	// they hold works until the rotation after the next begins.
	AlternatingUsers Strategy = "AlternatingUsers"
)

// CloneSuffix ends the name of the second user, as it does in AWS's rotation functions.
const CloneSuffix = "_clone"

// alternate is the other user of two. maximum is the engine's limit of a name in bytes.
func alternate(username string, maximum int) (string, error) {
	if base := baseOf(username); base != username {
		return base, nil
	}
	if len(username)+len(CloneSuffix) > maximum {
		return "", Because(ErrInvalid, "the name of the second user, %s%s, has over %d bytes, the engine's limit: use a shorter username or strategy SingleUser",
			username, CloneSuffix, maximum)
	}
	return username + CloneSuffix, nil
}

// baseOf is the first user of two.
func baseOf(username string) string { return strings.TrimSuffix(username, CloneSuffix) }
