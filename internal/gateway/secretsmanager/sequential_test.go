package secretsmanager_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// state is a secret as if everything happened one after the other: which version holds each label, and the rotation that RotateSecret has begun and
// whose version is not made yet. off tells that CancelRotateSecret has turned rotation off, and given is the rotation that was given up for it: a pass may have stored its version before.
// made counts the versions whose ids the controller chose.
type state struct {
	current, previous, pending, own string
	begun, given                    string
	off                             bool
	made                            int
}

// The inputs of what is done to a secret. observed is both what is read past all caches and what that came to.
type (
	putInput    struct{ id, stage string }
	moveInput   struct{ stage, from, to string }
	rotateInput struct{ id string }
	// A request that begins a rotation turns it on before it does, and one that cancels turns it off before it gives up the one that is in progress: each is two writes, and
	// two operations at the same time. sure tells that the first was made, which it may have been, too, for a request that was refused.
	onInput       struct{ sure bool }
	offInput      struct{}
	giveUpInput   struct{}
	passInput     struct{}
	annotateInput struct{}
	observed      struct {
		current, previous, pending, own, begun string
		off                                    bool
	}
)

// ownLabel is a label that is no one of AWS's.
const ownLabel = "own"

func (s *state) label(stage string) *string {
	switch stage {
	case "AWSCURRENT":
		return &s.current
	case "AWSPENDING":
		return &s.pending
	case "AWSPREVIOUS":
		return &s.previous
	}
	return &s.own
}

// give moves a label to a version. AWSPREVIOUS follows AWSCURRENT.
func (s state) give(stage, id string) state {
	if stage == "AWSCURRENT" && s.current != id {
		s.previous = s.current
	}
	*s.label(stage) = id
	return s
}

// comes is all that a secret may be when versions that passes have stored are committed, by whoever writes next: the one that RotateSecret has
// begun, and those that a schedule or the annotation asked for. chosen are the ids that the controller chose, in the order of the versions.
func (s state) comes(chosen []string) (out []state) {
	out = append(out, s)
	if s.begun != "" {
		next := s.give("AWSCURRENT", s.begun)
		next.begun = ""
		out = append(out, next.comes(chosen)...)
	}
	if s.off && s.begun != "" { // which a pass gives up
		next := s
		next.given, next.begun = s.begun, ""
		out = append(out, next.comes(chosen)...)
	}
	if s.given != "" {
		next := s.give("AWSCURRENT", s.given)
		next.given = ""
		out = append(out, next.comes(chosen)...)
	}
	if s.made < len(chosen) {
		next := s.give("AWSCURRENT", chosen[s.made])
		next.made++
		out = append(out, next.comes(chosen)...)
	}
	return out
}

// succeeds is what a secret is after an operation that was told it succeeded; ok is false if it cannot have. A write is made on the condition that
// nobody else has written, so this is exact.
func (s state) succeeds(input any) (next state, ok bool) {
	switch in := input.(type) {
	case putInput:
		return s.give(in.stage, in.id), true
	case moveInput:
		if *s.label(in.stage) != in.from {
			if in.stage == "AWSPENDING" && in.to == "" && s.begun == in.from { // the version is not stored: the rotation is given up
				s.begun = ""
				return s, true
			}
			return s, false
		}
		return s.give(in.stage, in.to), true
	case rotateInput:
		s.begun = in.id
		return s, true
	case offInput:
		s.off = true
	case giveUpInput:
		if s.off && s.begun != "" {
			s.given, s.begun = s.begun, ""
		}
	case onInput:
		s.off = false
	}
	return s, true
}

// mayBegin tells whether RotateSecret may begin a rotation, having turned it on.
func (s state) mayBegin() bool {
	return !s.off && s.begun == "" && (s.pending == "" || s.pending == s.current)
}

// sequential is the model of a secret whose first version is known. An operation that was refused has changed nothing: what it was refused for may
// have been read a moment before, so that it is not asked whether the refusal was right.
func sequential(first string, chosen []string) porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{current: first, own: first}} },
		Step: func(before, input, output any) (out []any) {
			s := before.(state)
			if seen, reads := output.(observed); reads {
				if (observed{s.current, s.previous, s.pending, s.own, s.begun, s.off}) == seen {
					out = append(out, s)
				}
				return out
			}
			if output != nil || input == (annotateInput{}) {
				return []any{s}
			}
			if on, turns := input.(onInput); turns && !on.sure {
				out = append(out, s)
			}
			for _, s := range s.comes(chosen) {
				if _, rotates := input.(rotateInput); rotates && !s.mayBegin() {
					continue
				}
				if next, ok := s.succeeds(input); ok {
					out = append(out, next)
				}
			}
			return slices.CompactFunc(out, func(a, b any) bool { return a == b })
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%T%v -> %v", input, input, output) },
	}
	return model.ToModel()
}

// A model that takes anything proves nothing.
func TestTheModelRefusesWhatCannotHaveHappened(t *testing.T) {
	const refused = "InvalidRequestException"
	first := observed{current: "v1", own: "v1"}
	put := putInput{"v2", "AWSCURRENT"}
	after := observed{current: "v2", previous: "v1", own: "v1"}
	for name, tt := range map[string]struct {
		// did are inputs and outputs, one after the other.
		did    [][2]any
		chosen []string
		may    bool
	}{
		"a value that was put and is seen":            {[][2]any{{put, nil}, {observed{}, after}}, nil, true},
		"a value that was put and is seen nowhere":    {[][2]any{{put, nil}, {observed{}, first}}, nil, false},
		"a value that was refused and is seen":        {[][2]any{{put, refused}, {observed{}, after}}, nil, false},
		"AWSPREVIOUS that stays behind":               {[][2]any{{put, nil}, {observed{}, observed{current: "v2", own: "v1"}}}, nil, false},
		"a label that moves":                          {[][2]any{{moveInput{"own", "v1", "v3"}, nil}, {observed{}, observed{current: "v1", own: "v3"}}}, nil, true},
		"a label that moves from where it is not":     {[][2]any{{moveInput{"own", "v9", "v3"}, nil}}, nil, false},
		"a label that moved and is back":              {[][2]any{{moveInput{"own", "v1", "v3"}, nil}, {observed{}, first}}, nil, false},
		"a rotation that is begun":                    {[][2]any{{rotateInput{"r"}, nil}, {observed{}, observed{current: "v1", own: "v1", begun: "r"}}}, nil, true},
		"two that are begun, and the first not made":  {[][2]any{{rotateInput{"r"}, nil}, {rotateInput{"s"}, nil}, {observed{}, observed{current: "v1", own: "v1", begun: "s"}}}, nil, false},
		"a rotation while another version is pending": {[][2]any{{putInput{"v2", "AWSPENDING"}, nil}, {rotateInput{"r"}, nil}}, nil, false},
		"a rotation that a pass carries out": {[][2]any{
			{rotateInput{"r"}, nil}, {passInput{}, nil}, {observed{}, observed{current: "r", previous: "v1", own: "v1"}},
		}, nil, true},
		"one that is carried out by nobody": {[][2]any{{rotateInput{"r"}, nil}, {observed{}, observed{current: "r", previous: "v1", own: "v1"}}}, nil, false},
		"one that is forgotten":             {[][2]any{{rotateInput{"r"}, nil}, {passInput{}, nil}, {observed{}, first}}, nil, false},
		"one that is given up":              {[][2]any{{rotateInput{"r"}, nil}, {moveInput{"AWSPENDING", "r", ""}, nil}, {observed{}, first}}, nil, true},
		"a rotation that is turned off":     {[][2]any{{offInput{}, nil}, {observed{}, observed{current: "v1", own: "v1", off: true}}}, nil, true},
		"one that is on for nobody's sake":  {[][2]any{{offInput{}, nil}, {observed{}, first}}, nil, false},
		"one that is cancelled": {[][2]any{
			{rotateInput{"r"}, nil}, {offInput{}, nil}, {giveUpInput{}, nil}, {observed{}, observed{current: "v1", own: "v1", off: true}},
		}, nil, true},
		"one that is cancelled, and still begun": {[][2]any{
			{rotateInput{"r"}, nil}, {offInput{}, nil}, {giveUpInput{}, nil}, {observed{}, observed{current: "v1", own: "v1", begun: "r", off: true}},
		}, nil, false},
		"one that is off, and given up by a pass": {[][2]any{
			{rotateInput{"r"}, nil}, {offInput{}, nil}, {observed{}, observed{current: "v1", own: "v1", begun: "r", off: true}}, {passInput{}, nil},
			{observed{}, observed{current: "v1", own: "v1", off: true}},
		}, nil, true},
		"one that is begun while it is off":              {[][2]any{{offInput{}, nil}, {rotateInput{"r"}, nil}}, nil, false},
		"one that is begun when it is on again":          {[][2]any{{offInput{}, nil}, {onInput{true}, nil}, {rotateInput{"r"}, nil}, {observed{}, observed{current: "v1", own: "v1", begun: "r"}}}, nil, true},
		"one that is on again, and given up by a cancel": {[][2]any{{offInput{}, nil}, {onInput{true}, nil}, {rotateInput{"r"}, nil}, {giveUpInput{}, nil}, {observed{}, first}}, nil, false},
		"one that a refused request has turned on":       {[][2]any{{offInput{}, nil}, {onInput{}, nil}, {observed{}, first}}, nil, true},
		"one that a refused request has not turned on":   {[][2]any{{offInput{}, nil}, {onInput{}, nil}, {observed{}, observed{current: "v1", own: "v1", off: true}}}, nil, true},
		"a version of a cancelled rotation that was stored": {[][2]any{
			{rotateInput{"r"}, nil}, {offInput{}, nil}, {giveUpInput{}, nil}, {put, nil}, {observed{}, observed{current: "v2", previous: "r", own: "v1", off: true}},
		}, nil, true},
		"a schedule's version": {[][2]any{{passInput{}, nil}, {observed{}, observed{current: "c", previous: "v1", own: "v1"}}}, []string{"c"}, true},
		"a schedule's version that comes without a pass, by the next writer": {[][2]any{{put, nil}, {observed{}, observed{current: "v2", previous: "c", own: "v1"}}}, []string{"c"}, true},
		"a schedule's version that comes twice": {[][2]any{
			{passInput{}, nil}, {observed{}, observed{current: "c", previous: "v1", own: "v1"}}, {put, nil}, {passInput{}, nil},
			{observed{}, observed{current: "c", previous: "v2", own: "v1"}},
		}, []string{"c"}, false},
	} {
		var operations []porcupine.Operation
		for i, o := range tt.did {
			operations = append(operations, porcupine.Operation{Input: o[0], Output: o[1], Call: int64(2 * i), Return: int64(2*i + 1)})
		}
		want := map[bool]porcupine.CheckResult{true: porcupine.Ok, false: porcupine.Illegal}[tt.may]
		if got := porcupine.CheckOperationsTimeout(sequential("v1", tt.chosen), operations, time.Minute); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
