package keys

import (
	"errors"
	"fmt"
)

// State is the state of a KMS key.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
type State string

// The states of AWS KMS, with its spelling.
const (
	// Creating: there is no key material yet.
	Creating State = "Creating"
	// Enabled: all operations work.
	Enabled State = "Enabled"
	// Disabled: cryptographic operations are refused until EnableKey.
	Disabled State = "Disabled"
	// PendingDeletion: the key is in its waiting period; only CancelKeyDeletion gets it out, and leaves it Disabled.
	PendingDeletion State = "PendingDeletion"
	// PendingReplicaDeletion: a multi-Region primary key waits for its replicas to be deleted, and is then PendingDeletion.
	PendingReplicaDeletion State = "PendingReplicaDeletion"
	// PendingImport: the key material is to be imported, or was deleted or expired.
	PendingImport State = "PendingImport"
	// Unavailable: the key material cannot be reached or opened.
	Unavailable State = "Unavailable"
	// Updating: the primary Region of a multi-Region key is changing.
	Updating State = "Updating"
)

// Operation is an operation of AWS KMS on an existing key, with AWS's name.
type Operation string

// Cryptographic operations.
const (
	Encrypt                             Operation = "Encrypt"
	Decrypt                             Operation = "Decrypt"
	ReEncrypt                           Operation = "ReEncrypt"
	GenerateDataKey                     Operation = "GenerateDataKey"
	GenerateDataKeyWithoutPlaintext     Operation = "GenerateDataKeyWithoutPlaintext"
	GenerateDataKeyPair                 Operation = "GenerateDataKeyPair"
	GenerateDataKeyPairWithoutPlaintext Operation = "GenerateDataKeyPairWithoutPlaintext"
	Sign                                Operation = "Sign"
	Verify                              Operation = "Verify"
	GenerateMac                         Operation = "GenerateMac"
	VerifyMac                           Operation = "VerifyMac"
	DeriveSharedSecret                  Operation = "DeriveSharedSecret"
	Encapsulate                         Operation = "Encapsulate"
	Decapsulate                         Operation = "Decapsulate"
	GetPublicKey                        Operation = "GetPublicKey"
)

// Operations that manage a key.
const (
	DescribeKey               Operation = "DescribeKey"
	GetKeyLastUsage           Operation = "GetKeyLastUsage"
	GetKeyPolicy              Operation = "GetKeyPolicy"
	PutKeyPolicy              Operation = "PutKeyPolicy"
	ListKeyPolicies           Operation = "ListKeyPolicies"
	ListAliases               Operation = "ListAliases"
	ListGrants                Operation = "ListGrants"
	ListResourceTags          Operation = "ListResourceTags"
	ListKeyRotations          Operation = "ListKeyRotations"
	CreateGrant               Operation = "CreateGrant"
	RetireGrant               Operation = "RetireGrant"
	RevokeGrant               Operation = "RevokeGrant"
	CreateAlias               Operation = "CreateAlias"
	DeleteAlias               Operation = "DeleteAlias"
	UpdateAlias               Operation = "UpdateAlias" // the state is that of the key that the alias will name
	TagResource               Operation = "TagResource"
	UntagResource             Operation = "UntagResource"
	UpdateKeyDescription      Operation = "UpdateKeyDescription"
	EnableKey                 Operation = "EnableKey"
	DisableKey                Operation = "DisableKey"
	EnableKeyRotation         Operation = "EnableKeyRotation"
	DisableKeyRotation        Operation = "DisableKeyRotation"
	GetKeyRotationStatus      Operation = "GetKeyRotationStatus"
	RotateKeyOnDemand         Operation = "RotateKeyOnDemand"
	ScheduleKeyDeletion       Operation = "ScheduleKeyDeletion"
	CancelKeyDeletion         Operation = "CancelKeyDeletion"
	GetParametersForImport    Operation = "GetParametersForImport"
	ImportKeyMaterial         Operation = "ImportKeyMaterial"
	DeleteImportedKeyMaterial Operation = "DeleteImportedKeyMaterial"
	ReplicateKey              Operation = "ReplicateKey"
	UpdatePrimaryRegion       Operation = "UpdatePrimaryRegion"
)

var (
	// ErrDisabled is AWS KMS's DisabledException.
	ErrDisabled = errors.New("the key is disabled")
	// ErrInvalidState is AWS KMS's KMSInvalidStateException.
	ErrInvalidState = errors.New("the key's state does not allow this")
	// ErrUnsupported is AWS KMS's UnsupportedOperationException.
	ErrUnsupported = errors.New("the key does not support this operation")
)

// Permits tells whether a key in this state lets an operation through. It fails with ErrDisabled, ErrInvalidState or
// ErrUnsupported, and with ErrInvalidState for a state or an operation that it does not know.
//
// Where AWS's table leaves a choice: a key that is PendingDeletion answers ErrInvalidState and not ErrDisabled; and an
// Unavailable key refuses rotation with ErrInvalidState, as here any key may be Unavailable. Whether the key's type
// supports the operation at all (rotation, import, replicas) is for the caller to decide, before asking here.
func (s State) Permits(op Operation) error {
	group, ok := groups[op]
	if !ok {
		return fmt.Errorf("%w: %q is not an operation on a key", ErrInvalidState, string(op))
	}
	rule, ok := rules[s]
	if !ok {
		return fmt.Errorf("%w: %q is not a state of a key", ErrInvalidState, string(s))
	}
	if err := rule.verdicts[group]; err != nil {
		return fmt.Errorf("%w: %s while the key is %s; %s", err, op, s, rule.remedy)
	}
	return nil
}

// group is a set of operations that every state treats alike.
type group int

const (
	always        group = iota
	cryptographic       // uses key material
	publicKey           // reads the public half of it
	grant               // CreateGrant
	metadata            // changes what describes the key
	toggle              // EnableKey, DisableKey
	rotate              // makes new material, or decides when
	rotateRead          // GetKeyRotationStatus
	schedule            // ScheduleKeyDeletion
	cancel              // CancelKeyDeletion
	importing           // GetParametersForImport, ImportKeyMaterial
	unimport            // DeleteImportedKeyMaterial
	multi               // ReplicateKey, UpdatePrimaryRegion
	groupCount
)

// groups has an entry for every Operation.
var groups = map[Operation]group{
	Encrypt: cryptographic, Decrypt: cryptographic, ReEncrypt: cryptographic, GenerateDataKey: cryptographic,
	GenerateDataKeyWithoutPlaintext: cryptographic, GenerateDataKeyPair: cryptographic,
	GenerateDataKeyPairWithoutPlaintext: cryptographic, Sign: cryptographic, Verify: cryptographic, GenerateMac: cryptographic,
	VerifyMac: cryptographic, DeriveSharedSecret: cryptographic, Encapsulate: cryptographic, Decapsulate: cryptographic,
	GetPublicKey: publicKey,

	DescribeKey: always, GetKeyLastUsage: always, GetKeyPolicy: always, PutKeyPolicy: always, ListKeyPolicies: always,
	ListAliases: always, ListGrants: always, ListResourceTags: always, ListKeyRotations: always,
	RetireGrant: always, RevokeGrant: always, DeleteAlias: always,

	CreateGrant: grant,
	CreateAlias: metadata, UpdateAlias: metadata, TagResource: metadata, UntagResource: metadata,
	UpdateKeyDescription: metadata,
	EnableKey:            toggle, DisableKey: toggle,
	EnableKeyRotation: rotate, DisableKeyRotation: rotate, RotateKeyOnDemand: rotate, GetKeyRotationStatus: rotateRead,
	ScheduleKeyDeletion: schedule, CancelKeyDeletion: cancel,
	GetParametersForImport: importing, ImportKeyMaterial: importing, DeleteImportedKeyMaterial: unimport,
	ReplicateKey: multi, UpdatePrimaryRegion: multi,
}

// rule is what a state refuses, and what a person can do about it. A group without a verdict is allowed.
type rule struct {
	verdicts [groupCount]error
	remedy   string
}

var rules = map[State]rule{
	Enabled: {[groupCount]error{cancel: ErrInvalidState}, "no deletion is scheduled"},
	Disabled: {[groupCount]error{
		cryptographic: ErrDisabled, publicKey: ErrDisabled, grant: ErrDisabled, rotate: ErrDisabled, multi: ErrDisabled,
		cancel: ErrInvalidState,
	}, "enable the key first"},
	PendingDeletion: {[groupCount]error{
		cryptographic: ErrInvalidState, publicKey: ErrInvalidState, grant: ErrInvalidState, metadata: ErrInvalidState,
		toggle: ErrInvalidState, rotate: ErrInvalidState, schedule: ErrInvalidState, importing: ErrInvalidState,
		unimport: ErrInvalidState, multi: ErrInvalidState,
	}, "cancel its deletion and enable it first"},
	PendingReplicaDeletion: {[groupCount]error{
		cryptographic: ErrInvalidState, publicKey: ErrInvalidState, grant: ErrInvalidState, metadata: ErrInvalidState,
		toggle: ErrInvalidState, rotate: ErrInvalidState, schedule: ErrInvalidState, importing: ErrInvalidState,
		unimport: ErrInvalidState, multi: ErrInvalidState,
	}, "cancel its deletion and enable it first"},
	PendingImport: {[groupCount]error{
		cryptographic: ErrInvalidState, publicKey: ErrInvalidState, grant: ErrInvalidState, toggle: ErrInvalidState,
		rotate: ErrUnsupported, rotateRead: ErrUnsupported, cancel: ErrInvalidState, multi: ErrInvalidState,
	}, "import its key material first"},
	Unavailable: {[groupCount]error{
		cryptographic: ErrInvalidState, publicKey: ErrInvalidState, rotate: ErrInvalidState, cancel: ErrInvalidState,
		importing: ErrInvalidState, unimport: ErrInvalidState, multi: ErrInvalidState,
	}, "see the key's conditions for why its key material cannot be opened"},
	Creating: {[groupCount]error{
		cryptographic: ErrInvalidState, publicKey: ErrInvalidState, grant: ErrInvalidState, toggle: ErrInvalidState,
		rotate: ErrInvalidState, schedule: ErrInvalidState, cancel: ErrInvalidState, importing: ErrInvalidState,
		unimport: ErrInvalidState, multi: ErrInvalidState,
	}, "try again when the key is Enabled"},
	Updating: {[groupCount]error{
		toggle: ErrInvalidState, schedule: ErrInvalidState, cancel: ErrInvalidState, unimport: ErrInvalidState,
		multi: ErrInvalidState,
	}, "try again when the key is Enabled"},
}
