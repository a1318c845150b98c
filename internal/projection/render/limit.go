package render

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
)

// The costs of work, in units of about a byte that is looked at or made. A function costs its arguments and its result, so
// that all that a template keeps in variables is paid for too; a round of a loop costs what stands in it.
const (
	maximumWork = 4 << 20 // while all keys are rendered: some tens of milliseconds, and not much more memory than bytes
	costOfCall  = 32
	costOfNode  = 64
	costOfWrite = 16
	// costOfEscape is how much longer a byte can become by quoting, for functions whose result's length is known late.
	costOfEscape = 10
	// costOfValue is what a value of decoded JSON needs in memory beside its text.
	costOfValue = 64
)

var (
	errOutput = errors.New("the output is over its limit of 1 MiB")
	errWork   = errors.New("the template does too much work")
)

// budget is what rendering may still use.
type budget struct{ output, work int }

// spend takes from the budget before the work is done, so that nothing is begun that cannot be paid.
func (b *budget) spend(cost int) error {
	if b.work -= max(cost, 1); b.work < 0 {
		return errWork
	}
	return nil
}

// limitedBuffer fails when the budget of output is used up.
type limitedBuffer struct {
	bytes.Buffer
	budget *budget
}

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.budget.output -= len(p); b.budget.output < 0 {
		return 0, errOutput
	}
	if err := b.budget.spend(costOfWrite + len(p)); err != nil {
		return 0, err
	}
	return b.Buffer.Write(p)
}

// position finds where text/template says that it failed: "template: KEY:LINE:COLUMN:".
var position = regexp.MustCompile(`^template: [-._a-zA-Z0-9]+:(\d+(?::\d+)?)`)

// missing finds the name of a member that the value lacks.
var missing = regexp.MustCompile(`map has no entry for key "([^"\\]*)"$`)

// describe tells what went wrong without what text/template quotes, which may be the value.
func describe(key, text string, err error) error {
	reason := "it cannot be evaluated with this value"
	var called *functionError
	switch {
	case errors.Is(err, errOutput):
		reason = errOutput.Error()
	case errors.Is(err, errWork):
		reason = errWork.Error()
	case errors.As(err, &called):
		reason = called.Error()
	default:
		// A name that the template does not hold is no member's: text/template quoted a value.
		if m := missing.FindStringSubmatch(err.Error()); m != nil && strings.Contains(text, m[1]) {
			reason = fmt.Sprintf("the value has no member %q", m[1])
		}
	}
	where := ""
	var exec template.ExecError
	if m := position.FindStringSubmatch(err.Error()); m != nil && errors.As(err, &exec) {
		where = " at " + m[1]
	}
	return fmt.Errorf("%w: key %s%s: %s", ErrTemplate, key, where, reason)
}

// functionError says which function failed, and nothing of its arguments.
type functionError struct{ name, reason string }

func (e *functionError) Error() string { return fmt.Sprintf("function %s: %s", e.name, e.reason) }
