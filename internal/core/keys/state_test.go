package keys_test

import (
	"errors"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
)

// The table of the AWS documentation, one row for each operation: . allowed, D DisabledException,
// S KMSInvalidStateException, U UnsupportedOperationException, in the order of states below. It is written out so that it
// can be laid beside that page; the code groups the operations instead.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html#key-state-table
var (
	states = []keys.State{
		keys.Enabled, keys.Disabled, keys.PendingDeletion, keys.PendingReplicaDeletion, keys.PendingImport,
		keys.Unavailable, keys.Creating, keys.Updating,
	}
	table = map[keys.Operation]string{
		keys.Encrypt:                             ".DSSSSS.",
		keys.Decrypt:                             ".DSSSSS.",
		keys.ReEncrypt:                           ".DSSSSS.",
		keys.GenerateDataKey:                     ".DSSSSS.",
		keys.GenerateDataKeyWithoutPlaintext:     ".DSSSSS.",
		keys.GenerateDataKeyPair:                 ".DSSSSS.",
		keys.GenerateDataKeyPairWithoutPlaintext: ".DSSSSS.",
		keys.Sign:                                ".DSSSSS.",
		keys.Verify:                              ".DSSSSS.",
		keys.GenerateMac:                         ".DSSSSS.",
		keys.VerifyMac:                           ".DSSSSS.",
		keys.DeriveSharedSecret:                  ".DSSSSS.",
		keys.Encapsulate:                         ".DSSSSS.",
		keys.Decapsulate:                         ".DSSSSS.",
		keys.GetPublicKey:                        ".DSSSSS.",
		keys.CreateGrant:                         ".DSSS.S.",
		keys.DescribeKey:                         "........",
		keys.GetKeyLastUsage:                     "........",
		keys.GetKeyPolicy:                        "........",
		keys.PutKeyPolicy:                        "........",
		keys.ListKeyPolicies:                     "........",
		keys.ListAliases:                         "........",
		keys.ListGrants:                          "........",
		keys.ListResourceTags:                    "........",
		keys.ListKeyRotations:                    "........",
		keys.RetireGrant:                         "........",
		keys.RevokeGrant:                         "........",
		keys.DeleteAlias:                         "........",
		keys.CreateAlias:                         "..SS....",
		keys.UpdateAlias:                         "..SS....",
		keys.TagResource:                         "..SS....",
		keys.UntagResource:                       "..SS....",
		keys.UpdateKeyDescription:                "..SS....",
		keys.EnableKey:                           "..SSS.SS",
		keys.DisableKey:                          "..SSS.SS",
		keys.EnableKeyRotation:                   ".DSSUSS.",
		keys.DisableKeyRotation:                  ".DSSUSS.",
		keys.RotateKeyOnDemand:                   ".DSSUSS.",
		keys.GetKeyRotationStatus:                "....U...",
		keys.ScheduleKeyDeletion:                 "..SS..SS",
		keys.CancelKeyDeletion:                   "SS..SSSS",
		keys.GetParametersForImport:              "..SS.SS.",
		keys.ImportKeyMaterial:                   "..SS.SS.",
		keys.DeleteImportedKeyMaterial:           "..SS.SSS",
		keys.ReplicateKey:                        ".DSSSSSS",
		keys.UpdatePrimaryRegion:                 ".DSSSSSS",
	}
	verdicts = map[byte]error{'.': nil, 'D': keys.ErrDisabled, 'S': keys.ErrInvalidState, 'U': keys.ErrUnsupported}
)

func TestEveryOperationInEveryStateDoesWhatTheTableSays(t *testing.T) {
	for op, row := range table {
		if len(row) != len(states) {
			t.Fatalf("%s has %d states", op, len(row))
		}
		for i, state := range states {
			want, known := verdicts[row[i]]
			if !known {
				t.Fatalf("%s: %q", op, row[i])
			}
			err := state.Permits(op)
			if want == nil && err != nil || want != nil && !errors.Is(err, want) {
				t.Errorf("%s while %s: %v, want %v", op, state, err, want)
			}
		}
	}
}

func TestARefusalIsOneErrorAndSaysTheOperationTheStateAndARemedy(t *testing.T) {
	for op := range table {
		for _, state := range states {
			err := state.Permits(op)
			if err == nil {
				continue
			}
			if !strings.Contains(err.Error(), string(op)) || !strings.Contains(err.Error(), string(state)+";") || strings.HasSuffix(err.Error(), "; ") {
				t.Errorf("%s while %s: %v", op, state, err)
			}
			matches := 0
			for _, sentinel := range []error{keys.ErrDisabled, keys.ErrInvalidState, keys.ErrUnsupported} {
				if errors.Is(err, sentinel) {
					matches++
				}
			}
			if matches != 1 {
				t.Errorf("%s while %s is %d errors: %v", op, state, matches, err)
			}
		}
	}
}

func TestUnknownStatesAndOperationsAreRefused(t *testing.T) {
	for _, state := range []keys.State{"", "enabled", "Pending", "PendingDeletion "} {
		for op := range table {
			if err := state.Permits(op); !errors.Is(err, keys.ErrInvalidState) {
				t.Errorf("state %q lets %s through: %v", state, op, err)
			}
		}
	}
	for _, op := range []keys.Operation{"", "encrypt", "CreateKey", "*"} {
		for _, state := range states {
			if err := state.Permits(op); !errors.Is(err, keys.ErrInvalidState) {
				t.Errorf("operation %q is let through while %s: %v", op, state, err)
			}
		}
	}
}

func TestOnlyEnabledAndUpdatingKeysDoCryptography(t *testing.T) {
	for _, state := range states {
		want := state == keys.Enabled || state == keys.Updating
		for _, op := range []keys.Operation{keys.Encrypt, keys.Decrypt, keys.GenerateDataKey, keys.Sign} {
			if got := state.Permits(op) == nil; got != want {
				t.Errorf("%s while %s: %v", op, state, got)
			}
		}
	}
}
