package kms

import (
	"fmt"
	"slices"
	"strings"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/fault"
)

// A key that Strongroom makes itself for a service is found by its name, which whoever may make KMSKeys can take first. So nothing that its spec says of whom it is for, what it does
// or where its material comes from is in force: it is as AWS's managed keys are, of which nobody can say that either, or it is not used.

const (
	managedName   = "aws-"
	managedPrefix = "alias/aws/"
)

// managedServices are those that have a key of their own in each account, also where its alias is missing.
var managedServices = []string{"acm", "secretsmanager", "ssm"}

// Managed tells whether a key is one that Strongroom makes itself for a service, as AWS's managed keys are.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-key
func Managed(key *v1alpha1.KMSKey) bool { return managedFor(key) != "" }

// managedFor is the service that a key of Strongroom's own is for.
func managedFor(key *v1alpha1.KMSKey) string {
	for _, alias := range key.Spec.Aliases {
		if service, ok := strings.CutPrefix(alias, managedPrefix); ok {
			return service
		}
	}
	if service, ok := strings.CutPrefix(key.Name, managedName); ok && slices.Contains(managedServices, service) {
		return service
	}
	return ""
}

// CheckManaged says that a key of Strongroom's own is not as those are which it makes: nothing new is encrypted under it then. It is nil for all other keys. The fault says KeyUnusable.
func CheckManaged(key *v1alpha1.KMSKey) error {
	differs := ""
	switch {
	case !Managed(key):
	case SpecOf(key) != keys.SymmetricDefault || UsageOf(key) != keys.EncryptDecrypt:
		differs = "keySpec and keyUsage"
	case External(key) || InModule(key):
		differs = "origin"
	case key.Spec.MultiRegion:
		differs = "multiRegion"
	}
	if differs == "" {
		return nil
	}
	return fault.Stalled(v1alpha1.ReasonKeyUnusable, fmt.Errorf("%w: KMSKey %s/%s is the key of the service %s, which is of one region, symmetric, and has material that is made here: its %s "+
		"cannot be another's; delete it, and it is made as it has to be", errKeyUnusable, key.Namespace, key.Name, managedFor(key), differs))
}

// RotationOf is how a key is rotated: as its spec says, and one of Strongroom's own each year at least.
func RotationOf(key *v1alpha1.KMSKey) *v1alpha1.KeyRotation {
	if r := key.Spec.Rotation; !Managed(key) || r != nil && r.Enabled {
		return r
	}
	return &v1alpha1.KeyRotation{Enabled: true}
}

// managedPolicy lets everybody in the account who may use a service use its key through the service, and look at the key. It is
// modelled on the policies of AWS's managed keys: nobody can change, disable or delete such a key by the AWS API.
func managedPolicy(account, region, service string) string {
	return strings.NewReplacer("ACCOUNT", account, "REGION", region, "SERVICE", service).Replace(`{
  "Version" : "2012-10-17",
  "Id" : "auto-SERVICE-1",
  "Statement" : [ {
    "Sid" : "Allow access through SERVICE for all principals in the account that are authorized to use SERVICE",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:CallerAccount" : "ACCOUNT",
        "kms:ViaService" : "SERVICE.REGION.amazonaws.com"
      }
    }
  }, {
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::ACCOUNT:root"
    },
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant" ],
    "Resource" : "*"
  } ]
}`)
}
