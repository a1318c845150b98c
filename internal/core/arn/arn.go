// Package arn makes the Amazon Resource Names of what Strongroom holds, and the account ids in them.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
package arn

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Partition is the only partition there is.
const Partition = "aws"

// ErrInvalidAccount says that an account id is not 12 decimal digits.
var ErrInvalidAccount = errors.New("an account id is 12 decimal digits")

// DeriveAccount is the account id of a namespace that has none of its own: the decimal SHA-256 of its name modulo
// 10^12, so that ARNs are the same in a rebuilt cluster.
func DeriveAccount(namespace string) string {
	sum := sha256.Sum256([]byte(namespace))
	n := new(big.Int).SetBytes(sum[:])
	n.Mod(n, big.NewInt(1_000_000_000_000))
	return fmt.Sprintf("%012d", n.Int64())
}

// ValidateAccount wraps ErrInvalidAccount if id is not 12 decimal digits.
func ValidateAccount(id string) error {
	if len(id) != 12 || strings.Trim(id, "0123456789") != "" {
		return fmt.Errorf("%w, for example 123456789012", ErrInvalidAccount)
	}
	return nil
}

// KMSKey is the ARN of a KMS key.
func KMSKey(region, account, keyID string) string {
	return join("kms", region, account, "key/"+keyID)
}

// KMSAlias is the ARN of an alias, alias/NAME, of a KMS key.
func KMSAlias(region, account, alias string) string { return join("kms", region, account, alias) }

// Secret is the ARN of a secret: its name, a dash and six characters that tell it from an earlier secret of the name.
func Secret(region, account, name, suffix string) string {
	return join("secretsmanager", region, account, "secret:"+name+"-"+suffix)
}

// IsSecret tells whether an ARN is that of a secret of this name, whatever its last six letters and digits.
func IsSecret(arn, region, account, name string) bool {
	suffix, ok := strings.CutPrefix(arn, Secret(region, account, name, ""))
	return ok && len(suffix) == suffixLength && strings.Trim(suffix, suffixAlphabet) == ""
}

const (
	suffixLength   = 6
	suffixAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// Suffix is the six characters at the end of a secret's ARN. They derive from the object's UID, which is random and new
// for each object, so that a crash before the ARN is stored changes nothing.
func Suffix(uid string) string {
	sum := sha256.Sum256([]byte("arn-suffix\x00" + uid))
	n := binary.BigEndian.Uint64(sum[:8]) // 62^6 is under 2^36: the bias of the modulus is under 2^-28
	out := make([]byte, suffixLength)
	for i := range out {
		out[i] = suffixAlphabet[n%uint64(len(suffixAlphabet))]
		n /= uint64(len(suffixAlphabet))
	}
	return string(out)
}

func join(service, region, account, resource string) string {
	return strings.Join([]string{"arn", Partition, service, region, account, resource}, ":")
}

// Account is the account id in an ARN, or nothing if it is no ARN.
func Account(arn string) string {
	return part(arn, 4)
}

// Region is the region in an ARN, or nothing if it is no ARN.
func Region(arn string) string {
	return part(arn, 3)
}

// KeyID is the key id in the ARN of a KMS key.
func KeyID(keyARN string) (id string, ok bool) {
	if part(keyARN, 2) != "kms" {
		return "", false
	}
	id, ok = strings.CutPrefix(part(keyARN, 5), "key/")
	return id, ok && id != ""
}

// Service is the service in an ARN, or nothing if it is no ARN.
func Service(arn string) string { return part(arn, 2) }

// Resource is the last part of an ARN, such as key/ID, or nothing if it is no ARN.
func Resource(arn string) string { return part(arn, 5) }

// part is one of the six parts of an ARN, or nothing if it is no ARN.
func part(arn string, n int) string {
	p, _ := split(arn)
	return p[n]
}

// split is the six parts of an ARN, all nothing if it is none. It makes no object: it is asked several times a request.
func split(arn string) (parts [6]string, ok bool) {
	rest := arn
	for i := range 5 {
		end := strings.IndexByte(rest, ':')
		if end < 0 || i == 0 && rest[:end] != "arn" {
			return [6]string{}, false
		}
		parts[i], rest = rest[:end], rest[end+1:]
	}
	parts[5] = rest
	return parts, true
}

// HSMCluster is the ARN of a cluster of AWS CloudHSM.
func HSMCluster(region, account, id string) string {
	return join("cloudhsm", region, account, "cluster/"+id)
}

// HSMBackup is the ARN of a backup of AWS CloudHSM.
func HSMBackup(region, account, id string) string {
	return join("cloudhsm", region, account, "backup/"+id)
}

// Certificate is the ARN of a certificate of AWS Certificate Manager.
func Certificate(region, account, id string) string {
	return join("acm", region, account, "certificate/"+id)
}

// CertificateAuthority is the ARN of an authority of AWS Private CA.
func CertificateAuthority(region, account, id string) string {
	return join("acm-pca", region, account, "certificate-authority/"+id)
}

// IssuedCertificate is the ARN of a certificate that an authority issued, by its serial number in hexadecimal digits.
func IssuedCertificate(authorityARN, serial string) string {
	return authorityARN + "/certificate/" + serial
}

// Authority is the ARN of the authority that issued a certificate, and that ARN itself if it is an authority's.
func Authority(arn string) string {
	authority, _, _ := strings.Cut(arn, "/certificate/")
	return authority
}

// IsCertificate tells whether an ARN is that of a certificate of a region and account.
func IsCertificate(arn, region, account string) bool {
	return isIn(arn, Certificate(region, account, ""))
}

// IsCertificateAuthority tells whether an ARN is that of an authority of a region and account.
func IsCertificateAuthority(arn, region, account string) bool {
	return isIn(arn, CertificateAuthority(region, account, ""))
}

// IsMadeOf tells whether the ARN of a certificate or an authority has an id: that of the object which it was made for, if nobody has put it on another.
func IsMadeOf(arn, id string) bool {
	return id != "" && strings.HasSuffix(arn, "/"+id)
}

// IDOf is the id in the ARN of a certificate or an authority, and nothing in one that has none.
func IDOf(arn string) string {
	_, id, _ := strings.Cut(arn, "/")
	return id
}

// isIn tells whether an ARN is a prefix and an id without a slash.
func isIn(arn, prefix string) bool {
	id, found := strings.CutPrefix(arn, prefix)
	return found && id != "" && !strings.Contains(id, "/")
}

// Function is the ARN of a Lambda function, without a version.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
func Function(region, account, name string) string {
	return join("lambda", region, account, "function:"+name)
}

// FunctionName is the name in the ARN of a function of a region and account; not ok if it is another's, or names a version or an alias.
func FunctionName(arn, region, account string) (name string, ok bool) {
	name, ok = strings.CutPrefix(arn, Function(region, account, ""))
	return name, ok && name != "" && !strings.Contains(name, ":")
}
