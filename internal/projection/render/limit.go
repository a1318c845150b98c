package render

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"text/template"
)

// maximumSteps is the number of functions called, rounds of loops, and pieces of output while all keys are rendered.
const maximumSteps = 1 << 16

var (
	errOutput = errors.New("the output is over its limit of 1 MiB")
	errSteps  = errors.New("the template does too much work")
)

// budget is what rendering may still use.
type budget struct{ output, steps int }

func (b *budget) step() error {
	if b.steps--; b.steps < 0 {
		return errSteps
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
	if err := b.budget.step(); err != nil {
		return 0, err
	}
	return b.Buffer.Write(p)
}

// position finds where text/template says that it failed: "template: KEY:LINE:COLUMN:".
var position = regexp.MustCompile(`^template: [-._a-zA-Z0-9]+:(\d+(?::\d+)?)`)

// missing finds the name of a member that the value lacks. The name is the template's, not the value's.
var missing = regexp.MustCompile(`map has no entry for key "([^"\\]*)"$`)

// describe tells what went wrong without what text/template quotes, which may be the value.
func describe(key string, err error) error {
	reason := "it cannot be evaluated with this value"
	var called *functionError
	switch {
	case errors.Is(err, errOutput):
		reason = errOutput.Error()
	case errors.Is(err, errSteps):
		reason = errSteps.Error()
	case errors.As(err, &called):
		reason = called.Error()
	default:
		if m := missing.FindStringSubmatch(err.Error()); m != nil {
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
