package cloudhsm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

func TestEachRefusalIsAWSsErrorAndNamesTheClusterAndTheCause(t *testing.T) {
	for _, test := range []struct {
		err        error
		code, says string
	}{
		{cloudhsm.ErrGone, "CloudHsmResourceNotFoundException", "Could not find cluster-a."},
		{fmt.Errorf("%w: hsm-b", cloudhsm.ErrHSMNotFound), "CloudHsmResourceNotFoundException", "cluster-a: the cluster has no such HSM: hsm-b."},
		{cloudhsm.ErrRegion, "CloudHsmInvalidRequestException", "home region"},
		{cloudhsm.ErrDeleting, "CloudHsmInvalidRequestException", "cluster-a: the cluster is being deleted."},
		{cloudhsm.ErrTooManyHSMs, "CloudHsmInvalidRequestException", "at most 10"},
		{fmt.Errorf("%w: %d", cloudhsm.ErrClusterQuota, 4), "CloudHsmServiceException", "it exceeds an AWS CloudHSM limit: the account has as many clusters as it may: 4."},
		{fmt.Errorf("%w: %d", cloudhsm.ErrHSMQuota, 6), "CloudHsmServiceException", "as many HSMs in all its clusters as it may: 6."},
		{cloudhsm.ErrRoot, "CloudHsmInvalidRequestException", "keeps one HSM"},
		{cloudhsm.ErrNotLast, "CloudHsmInvalidRequestException", "reverse order"},
		{cloudhsm.ErrHasHSMs, "CloudHsmInvalidRequestException", "has HSMs"},
		{cloudhsm.ErrHasKeys, "CloudHsmInvalidRequestException", "KMS keys are in the cluster"},
		{tags.ErrTooMany, "CloudHsmResourceLimitExceededException", "50 tags"},
		{tags.ErrReserved, "CloudHsmTagException", "aws:"},
		{tags.ErrDuplicate, "CloudHsmTagException", "case"},
	} {
		var got smithy.APIError
		if err := answer("cluster-a", test.err); !errors.As(err, &got) || got.ErrorCode() != test.code || !strings.Contains(got.ErrorMessage(), test.says) {
			t.Errorf("%v is answered as %v", test.err, err)
		}
	}
	for _, err := range []error{errors.New("etcd is full"), nil} {
		if got := answer("cluster-a", err); !errors.Is(got, err) {
			t.Errorf("%v is answered as %v", err, got)
		}
	}
}

// AWS's model: NextToken has at most 256 characters, and one that is longer is refused before it is read.
func TestATokenIsNeverTooLongToBeSentBack(t *testing.T) {
	call := &gateway.Call{Identity: &serviceiam.Identity{}}
	of := page.Of(call, &sdk.DescribeClustersInput{Filters: map[string][]string{"clusterIds": {strings.Repeat("x", 1<<16)}}})
	at := func(hc **v1alpha1.HSMCluster) page.Place {
		return page.Place{Of: of, ID: cloudhsm.ClusterID((*hc).Namespace, (*hc).Name)}
	}
	_, next, err := page.Cut([]*v1alpha1.HSMCluster{{}, {}}, at, nil, 1, false)
	if err != nil || next == nil || len(*next) > 256 {
		t.Errorf("%v, %v", next, err)
	}
}

func TestAMessageIsOneLineOfAtMost300BytesOfWholeCharacters(t *testing.T) {
	for _, text := range []string{"", "short", "two\nlines\r\n\tand more", strings.Repeat("ä", 400), "\xff" + strings.Repeat("x", 299) + "ä", strings.Repeat("x", 299) + "漢"} {
		got := cut(text)
		if len(got) > 300 || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\t") || text != "" && got == "" {
			t.Errorf("%.40q is cut to %q", text, got)
		}
	}
}

func TestSubnetsHaveZonesOfTheirOwnHoweverManyAnAnnotationNames(t *testing.T) {
	hc := &v1alpha1.HSMCluster{}
	if subnets(hc, "us-east-1") != nil {
		t.Error("a cluster without subnets has some")
	}
	hc.Annotations = map[string]string{cloudhsm.RequestAnnotation: `{"subnetIds":["` + strings.Repeat(`s","`, 99) + `s"]}`}
	zones := subnets(hc, "us-east-1")
	if len(zones) != 26 || zones["us-east-1a"] != "s" || zones["us-east-1z"] != "s" {
		t.Errorf("%d zones: %v", len(zones), zones)
	}
}
