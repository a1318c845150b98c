// Package hsm has what all parts of an HSM node and its callers share: the errors, the key specs and signing algorithms,
// the limits, and the format of what a node seals. It knows no PKCS#11, no gRPC and no Kubernetes.
//
// An HSM cluster is a handful of nodes, each a token of a PKCS#11 module, that hold the same domain keys. Nothing else is
// replicated: keys of users are key tokens, which the caller stores and any node opens.
//
//	domain key of an epoch     AES-256, made in the first node, cloned to the others
//	 ├─ Wrap, Unwrap           a key of 32 bytes, for keyring.Root: the caller uses the key itself
//	 └─ seals key tokens       with the caller's AAD, around what the wrapping key made
//	wrapping key of an epoch   AES-256, made and cloned with it
//	 └─ wraps keys             AES key wrap with padding; keys that it unwraps are used in the module alone
//
// The folders below:
//
//	hsmpb     the node's API: node.proto and the Go code made of it, and errors as gRPC statuses
//	module    PKCS#11, in builds with cgo; Supported tells
//	child     the process that loads the module, the protocol to it, and its supervision
//	node      the node: token life, PINs, authorization by certificate, the gRPC server
//	mtls      certificates that are reloaded, and the names of operators and nodes in them
//	client    a client over several nodes, and a keyring.Root
//	hsmtest   certificates and SoftHSM tokens for tests
//
// The surface for a controller is client.New with the nodes' addresses and an mtls.Source:
//
//	Cluster.Node(address)     the API of one node: Status, Initialize, CreateDomainKey, Join, Clone, Import
//	Cluster.Add(ctx, donor, joiner)   Join, Clone and Import, and the comparison of key check values
//	Cluster.Check(ctx)        a health check: Status of every node, key check values, canary across nodes
//	Cluster.Wrap, Unwrap, GenerateKey, Encrypt, Decrypt, Sign, Random   on any healthy node
//	client.NewRoot(name, cluster)     keyring.Root, with a key in no process's memory
//
// Failures are told by errors.Is with the variables of this package, and their texts are fit for conditions.
package hsm
