package kms_test

// exceptions are the errors that AWS documents and that nobody has been seen to be answered, with the reason. The list is held to be right both ways: what is seen is
// struck off it.
var exceptions = []never{
	{"KMSInternalException", []string{"GenerateRandom"}, "it stands on nothing that fails: the process ends before its source of randomness gives less than it should"},
	{"DependencyTimeoutException", []string{"GenerateRandom"}, "it waits for nothing"},
	{"CustomKeyStoreNotFoundException", []string{"GenerateRandom"}, "CustomKeyStoreId is refused with UnsupportedOperationException, whatever it names"},
	{"CustomKeyStoreInvalidStateException", []string{"GenerateRandom"}, "CustomKeyStoreId is refused with UnsupportedOperationException, whatever it names"},

	{"KMSInvalidStateException", inEveryState, "AWS's table of key states has no state that refuses it"},
	{"InvalidKeyUsageException", []string{"GetPublicKey"}, "a key that has a public one has it whatever it is for, and one that has none is UnsupportedOperationException"},
	{"InvalidArnException", []string{"CreateKey"}, "no member of its request that is served is an ARN: one in the policy makes that MalformedPolicyDocumentException"},
	{"NotFoundException", []string{"ListRetirableGrants"}, "it names no key, and a principal that is not there has no grants"},
	{"UnsupportedOperationException", []string{"PutKeyPolicy"}, "every key can have another policy"},

	{"LimitExceededException", []string{"EnableKey"}, "there is no quota of keys that are enabled"},
	{"LimitExceededException", []string{"CreateCustomKeyStore"}, "there are as many custom key stores as clusters, of which the quota is CloudHSM's"},
	{"CloudHsmClusterNotActiveException", []string{"UpdateCustomKeyStore"}, "a store stays in its cluster, which is asked nothing when its name changes"},
	{"CloudHsmClusterInvalidConfigurationException", []string{"UpdateCustomKeyStore"}, "a store stays in its cluster, which is asked nothing when its name changes"},

	{"XksKeyInvalidConfigurationException", []string{"CreateKey"}, noExternal},
	{"XksKeyAlreadyInUseException", []string{"CreateKey"}, noExternal},
	{"XksKeyNotFoundException", []string{"CreateKey"}, noExternal},
	{"XksProxyUriInUseException", storesAreMade, noExternal},
	{"XksProxyUriEndpointInUseException", storesAreMade, noExternal},
	{"XksProxyUriUnreachableException", storesAreMade, noExternal},
	{"XksProxyIncorrectAuthenticationCredentialException", storesAreMade, noExternal},
	{"XksProxyVpcEndpointServiceInUseException", storesAreMade, noExternal},
	{"XksProxyVpcEndpointServiceNotFoundException", storesAreMade, noExternal},
	{"XksProxyVpcEndpointServiceInvalidConfigurationException", storesAreMade, noExternal},
	{"XksProxyInvalidResponseException", storesAreMade, noExternal},
	{"XksProxyInvalidConfigurationException", storesAreMade, noExternal},
}

const noExternal = "external key stores are refused with UnsupportedOperationException"

var storesAreMade = []string{"CreateCustomKeyStore", "UpdateCustomKeyStore"}

// inEveryState are the operations on keys that every key state lets through.
var inEveryState = []string{"DeleteAlias", "GetKeyPolicy", "GetKeyRotationStatus", "ListGrants", "ListKeyPolicies", "ListKeyRotations", "PutKeyPolicy", "RetireGrant", "RevokeGrant"}
