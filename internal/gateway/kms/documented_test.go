package kms_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"strongroom.dev/strongroom/internal/gateway/limits"
)

// success stands among the codes of errors for an answer.
const success = "success"

// answers are what operations were answered, or are to be answered: by operation the names of the SDK's types of error, and success.
type answers map[string]map[string]bool

func (a answers) add(operation, code string) {
	if a[operation] == nil {
		a[operation] = map[string]bool{}
	}
	a[operation][code] = true
}

// seen are the answers that AWS's SDK has had of the suite's gateways so far.
var seen = struct {
	sync.Mutex
	answers
}{answers: answers{}}

// watched is an option of the SDK's client: what it is answered is noted. An error counts that the SDK has a type for.
func watched(o *awskms.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Watched", func(
			ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
		) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleInitialize(ctx, in)
			if code := codeOf(err); code != "" {
				seen.Lock()
				defer seen.Unlock()
				seen.add(awsmiddleware.GetOperationName(ctx), code)
			}
			return out, metadata, err
		}), middleware.After)
	})
}

// codeOf is the name of the SDK's type of an error, success for none, and empty for an error without a type of its own.
func codeOf(err error) string {
	if err == nil {
		return success
	}
	var known smithy.APIError
	if !errors.As(err, &known) {
		return ""
	}
	if _, generic := known.(*smithy.GenericAPIError); generic {
		return ""
	}
	return reflect.TypeOf(known).Elem().Name()
}

// documented are the answers that AWS documents: a success of each operation, and the errors of its model.
func documented() answers {
	model, err := limits.For("kms")
	Expect(err).NotTo(HaveOccurred())
	all := answers{}
	for _, name := range model.Operations() {
		all.add(name, success)
		operation, _ := model.Operation(name)
		for _, e := range operation.Errors {
			all.add(name, e.Shape)
		}
	}
	return all
}

// documenting are the operations that AWS documents an error for, in order.
func documenting(code string) (out []string) {
	GinkgoHelper()
	for name, codes := range documented() {
		if codes[code] {
			out = append(out, name)
		}
	}
	Expect(out).NotTo(BeEmpty(), code)
	slices.Sort(out)
	return out
}

// never is an error that some operations document and are not seen to answer, and why.
type never struct {
	code       string
	operations []string
	why        string
}

// missingAnswers says what is not as it should be: what is documented and neither seen nor excepted, and exceptions of what is seen, is not documented, is made
// twice or without a reason.
func missingAnswers(documented, seen answers, exceptions []never) (wrong []string) {
	excepted := answers{}
	for _, n := range exceptions {
		for _, operation := range n.operations {
			name := operation + " " + n.code
			switch {
			case n.why == "":
				wrong = append(wrong, name+" is excepted without a reason")
			case excepted[operation][n.code]:
				wrong = append(wrong, name+" is excepted twice")
			case !documented[operation][n.code]:
				wrong = append(wrong, name+" is excepted and not documented")
			case seen[operation][n.code]:
				wrong = append(wrong, name+" is excepted and was seen: strike it off the exceptions")
			}
			excepted.add(operation, n.code)
		}
	}
	for _, operation := range slices.Sorted(maps.Keys(documented)) {
		for _, code := range slices.Sorted(maps.Keys(documented[operation])) {
			if !seen[operation][code] && !excepted[operation][code] {
				wrong = append(wrong, operation+" "+code+" is documented and was not seen")
			}
		}
	}
	return wrong
}

var _ = ReportAfterSuite("AWS's SDK has had every answer that AWS documents, of every operation", func(report Report) {
	stats := report.PreRunStats
	if !report.SuiteSucceeded || stats.SpecsThatWillRun != stats.TotalSpecs || report.SuiteConfig.ParallelTotal > 1 {
		return // not all was asked, or by other processes
	}
	seen.Lock()
	defer seen.Unlock()
	all := documented()
	pairs := 0
	for _, codes := range all {
		pairs += len(codes)
	}
	Expect(len(all)).To(BeNumerically(">=", 56), "operations of the model")
	Expect(pairs).To(BeNumerically(">=", 465), "answers of the model")
	Expect(missingAnswers(all, seen.answers, exceptions)).To(BeEmpty())
})

// TestAnAnswerThatIsDocumentedIsSeenOrExceptedAndNotBoth is about the check itself.
func TestAnAnswerThatIsDocumentedIsSeenOrExceptedAndNotBoth(t *testing.T) {
	model := answers{"Encrypt": {success: true, "A": true, "B": true}, "Sign": {success: true, "A": true}}
	all := answers{"Encrypt": {success: true, "A": true, "B": true, "Extra": true}, "Sign": {success: true, "A": true}}
	for name, tt := range map[string]struct {
		seen       answers
		exceptions []never
		wrong      []string
	}{
		"all of it":              {all, nil, nil},
		"nothing":                {answers{}, nil, []string{"Encrypt A is documented and was not seen", "Encrypt B is documented and was not seen", "Encrypt success is documented and was not seen", "Sign A is documented and was not seen", "Sign success is documented and was not seen"}},
		"the rest":               {answers{"Encrypt": {success: true, "A": true}, "Sign": {success: true}}, []never{{"B", []string{"Encrypt"}, "x"}, {"A", []string{"Sign"}, "y"}}, nil},
		"one operation's alone":  {answers{"Encrypt": {success: true, "A": true, "B": true}, "Sign": {success: true}}, nil, []string{"Sign A is documented and was not seen"}},
		"a needless exception":   {all, []never{{"A", []string{"Sign"}, "x"}}, []string{"Sign A is excepted and was seen: strike it off the exceptions"}},
		"an exception of nobody": {all, []never{{"C", []string{"Sign"}, "x"}}, []string{"Sign C is excepted and not documented"}},
		"one without a reason":   {answers{"Encrypt": all["Encrypt"], "Sign": {success: true}}, []never{{"A", []string{"Sign"}, ""}}, []string{"Sign A is excepted without a reason"}},
		"one that is made twice": {answers{"Encrypt": all["Encrypt"], "Sign": {success: true}}, []never{{"A", []string{"Sign", "Sign"}, "x"}}, []string{"Sign A is excepted twice"}},
	} {
		if got := missingAnswers(model, tt.seen, tt.exceptions); !slices.Equal(got, tt.wrong) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for err, want := range map[error]string{
		nil: success, errors.New("x"): "", &smithy.GenericAPIError{Code: "DisabledException"}: "", fmt.Errorf("more: %w", &smithy.OperationError{Err: errors.New("x")}): "",
	} {
		if got := codeOf(err); got != want {
			t.Errorf("%v is %q", err, got)
		}
	}
}
