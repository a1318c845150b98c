// Package acm is the use cases of AWS Certificate Manager over Certificate objects: what controllers and the gateway call. Errors are
// faults, or wrap those of internal/core/pki, which acmpca.Fault turns into faults.
//
// A certificate's private key and its chain are one payload (pki.Bundle) in one Envelope of class PrivateKey. So whatever is read is a key
// with its own certificate, at each point of a crash. The Envelope comes first, and writing status.versions commits it.
//
// The surface for the gateway, by AWS's operation:
//
//	RequestCertificate       makes a Certificate with authorityRef; controllers/certificate has it issued
//	DescribeCertificate      ByARN, and the object's spec and status
//	GetCertificate           Chain
//	ImportCertificate        ParseImport, then Import, of a new Certificate with neither authorityRef nor importFrom, or of one that is there
//	ExportCertificate        Export
//	RenewCertificate         sets the annotation strongroom.dev/rotate
//	DeleteCertificate        deletes the object; its Envelopes stay for the recovery window
package acm
