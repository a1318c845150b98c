package plugin

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
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
	actionDeclared = "declared"
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

// inventory is what the store has at the names that a file has, by their canonical names.
type inventory struct {
	parameters map[string]types.Parameter
	// declared are those whose manifest has the value, whether they have a version or not: another one is not put.
	declared map[string]bool
}

// plan compares what is wanted with what is there.
func plan(wanted []wantedParameter, store inventory) []step {
	out := make([]step, 0, len(wanted))
	for _, w := range wanted {
		s := step{Action: actionCreate, Name: w.name, Type: string(w.kind), value: w.value}
		there, is := store.parameters[arn.CanonicalParameter(w.name)]
		switch {
		case !is:
		case there.Type != w.kind:
			s.Action, s.Type = actionConflict, fmt.Sprintf("%s, is %s", w.kind, there.Type)
		case aws.ToString(there.Value) == w.value:
			s.Action = actionNone
		default:
			s.Action = actionUpdate
		}
		if s.Action != actionNone && s.Action != actionConflict && store.declared[arn.CanonicalParameter(w.name)] {
			s.Action = actionDeclared
		}
		if w.kind != types.ParameterTypeSecureString && there.Type != types.ParameterTypeSecureString && s.Action != actionNone {
			s.Now, s.File = there.Value, aws.String(w.value)
		}
		out = append(out, s)
	}
	return out
}

// maximumDeclared is the length of the header of a request of ten names, generously.
const maximumDeclared = 64

// readDeclared reads the positions of names in the header in which the gateway says which of them manifests declare. Of what is no such header there are none: AWS itself has
// none, and what is refused is told when it is written, too.
func readDeclared(header string, names []string) (declared []string) {
	if header == "" || len(header) > maximumDeclared {
		return nil
	}
	for text := range strings.SplitSeq(header, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n >= len(names) {
			return nil
		}
		declared = append(declared, names[n])
	}
	return declared
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
