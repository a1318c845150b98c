package awsjson_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"

	"strongroom.dev/strongroom/internal/gateway/awsjson"
)

func TestACMsFiltersAreReadThoughTheirMembersBeginWithASmallLetter(t *testing.T) {
	var in acm.ListCertificatesInput
	body := `{"Includes":{"keyTypes":["EC_prime256v1","RSA_4096"],"keyUsage":["DIGITAL_SIGNATURE"],"extendedKeyUsage":["ANY"],` +
		`"exportOption":"ENABLED","managedBy":"CLOUDFRONT","unknown":1},"MaxItems":7}`
	if err := awsjson.Decode([]byte(body), &in); err != nil {
		t.Fatal(err)
	}
	f := in.Includes
	if len(f.KeyTypes) != 2 || f.KeyTypes[0] != types.KeyAlgorithmEcPrime256v1 || f.KeyUsage[0] != types.KeyUsageNameDigitalSignature ||
		f.ExtendedKeyUsage[0] != types.ExtendedKeyUsageNameAny || f.ExportOption != types.CertificateExportEnabled ||
		f.ManagedBy != types.CertificateManagedByCloudfront || *in.MaxItems != 7 {
		t.Errorf("read %+v", f)
	}
}

func TestACMsFiltersAreReadAsStrictlyAsAllElse(t *testing.T) {
	for _, body := range []string{
		`{"Includes":{"keyTypes":["RSA_2048"],"keyTypes":["RSA_4096"]}}`, `{"Includes":{"keyTypes":"RSA_2048"}}`,
		`{"Includes":[]}`, `{"Includes":{"exportOption":1}}`,
	} {
		if err := awsjson.Decode([]byte(body), &acm.ListCertificatesInput{}); !errors.Is(err, awsjson.ErrSerialization) {
			t.Errorf("%s: %v", body, err)
		}
	}
	var in acm.ListCertificatesInput
	if err := awsjson.Decode([]byte(`{"Includes":null}`), &in); err != nil || in.Includes != nil {
		t.Errorf("null: %v, %v", in.Includes, err)
	}
}
