package plugin

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"strongroom.dev/strongroom/internal/core/arn"
)

// wantedParameter is one as a file says that it is to be.
type wantedParameter struct {
	name, value string
	kind        types.ParameterType
}

// What is to be done about a parameter.
const (
	actionCreate   = "create"
	actionUpdate   = "update"
	actionNone     = "unchanged"
	actionConflict = "conflict"
)

// step is what is to be done about one parameter. Values of SecureStrings are in no member that is printed.
type step struct {
	Action string `json:"action"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	// Now and File are the value that is there, and the file's.
	Now  *string `json:"now,omitempty"`
	File *string `json:"file,omitempty"`

	value string
}

// plan compares what is wanted with what is there.
func plan(wanted []wantedParameter, there map[string]types.Parameter) []step {
	out := make([]step, 0, len(wanted))
	for _, w := range wanted {
		s := step{Action: actionCreate, Name: w.name, Type: string(w.kind), value: w.value}
		found, is := there[arn.CanonicalParameter(w.name)]
		switch {
		case !is:
		case found.Type != w.kind:
			s.Action, s.Type = actionConflict, fmt.Sprintf("%s, is %s", w.kind, found.Type)
		case aws.ToString(found.Value) == w.value:
			s.Action = actionNone
		default:
			s.Action = actionUpdate
		}
		if w.kind != types.ParameterTypeSecureString && found.Type != types.ParameterTypeSecureString && s.Action != actionNone {
			s.Now, s.File = found.Value, aws.String(w.value)
		}
		out = append(out, s)
	}
	return out
}

func count(steps []step, action string) (n int) {
	for i := range steps {
		if steps[i].Action == action {
			n++
		}
	}
	return n
}

// widest is how many characters of a value a table shows.
const widest = 40

// cell is a value in a table.
func cell(value *string) string {
	if value == nil {
		return "-"
	}
	if runes := []rune(*value); len(runes) > widest {
		return string(runes[:widest-3]) + "..."
	}
	return *value
}

// headway tells how far work has got that is long.
type headway struct {
	out  io.Writer
	what string
	of   int
}

// every is how often progress is told, in parameters. What is shorter than that tells nothing.
const every = 100

func (p headway) tell(done int) {
	if done%every == 0 && p.of > every {
		_, _ = fmt.Fprintf(p.out, "%s: %d of %d\n", p.what, done, p.of)
	}
}

// within makes one request, which is to be answered in time, however many there are.
func within[T any](ctx context.Context, timeout time.Duration, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx)
}
