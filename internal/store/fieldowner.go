package store

// RestoreFieldOwner is the field manager of what a restore makes. It has said nothing of its own: a backup tells what objects were, and not who said which field of them.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
const RestoreFieldOwner = "strongroom-restore"
