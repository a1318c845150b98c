package render

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"
)

// maximumNesting is how deep loops may be nested: rounds multiply.
const maximumNesting = 2

var (
	errDefine   = errors.New("define, block and template are not allowed")
	errRange    = errors.New("range goes over fields and variables alone: a number or the result of a function could make it endless")
	errNested   = fmt.Errorf("range is nested deeper than %d", maximumNesting)
	errInternal = errors.New("a function whose name begins with an underscore is not a template's to call")
	errPrintf   = errors.New("printf takes a constant format whose widths and precisions have at most three digits")
)

// check refuses what could run without a bound, since a template that runs cannot be stopped from outside, and makes every
// loop count its rounds.
func check(t *template.Template) error {
	if len(t.Templates()) > 1 {
		return errDefine
	}
	if t.Tree == nil || t.Root == nil {
		return nil // an empty template
	}
	return walk(t.Root, 0)
}

func walk(node parse.Node, loops int) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, child := range n.Nodes {
			if err := walk(child, loops); err != nil {
				return err
			}
		}
	case *parse.ActionNode:
		return walk(n.Pipe, loops)
	case *parse.TemplateNode:
		return errDefine
	case *parse.IfNode:
		return branch(&n.BranchNode, loops)
	case *parse.WithNode:
		return branch(&n.BranchNode, loops)
	case *parse.RangeNode:
		return loop(n, loops+1)
	case *parse.PipeNode:
		return pipe(n)
	}
	return nil
}

// loop checks a range and makes each of its rounds be paid for.
func loop(n *parse.RangeNode, loops int) error {
	switch {
	case loops > maximumNesting:
		return errNested
	case !overData(n.Pipe):
		return errRange
	}
	if err := branch(&n.BranchNode, loops); err != nil {
		return err
	}
	over := n.Pipe.Cmds[0]
	over.Args = append([]parse.Node{overCall.Cmds[0].Args[0].Copy()}, over.Args...)
	pays := spendCall.CopyPipe()
	cost := pays.Cmds[0].Args[1].(*parse.NumberNode)
	cost.Int64 = int64(costOfNode * (1 + count(n.List)))
	cost.Uint64, cost.Float64, cost.Text = uint64(cost.Int64), float64(cost.Int64), fmt.Sprint(cost.Int64)
	spend := &parse.ActionNode{NodeType: parse.NodeAction, Pos: n.Pos, Line: n.Line, Pipe: pays}
	n.List.Nodes = append([]parse.Node{spend}, n.List.Nodes...)
	return nil
}

func branch(n *parse.BranchNode, loops int) error {
	if err := walk(n.Pipe, loops); err != nil {
		return err
	}
	if err := walk(n.List, loops); err != nil {
		return err
	}
	return walk(n.ElseList, loops)
}

// The calls of this package's own by which a loop pays: _over for what it goes over, when it begins, and _spend for a round.
var overCall, spendCall = ownCall("_over ."), ownCall("_spend 1")

func ownCall(text string) *parse.PipeNode {
	parsed := template.Must(template.New("paid").Funcs(names).Parse("{{ " + text + " }}"))
	return parsed.Root.Nodes[0].(*parse.ActionNode).Pipe
}

// count is the number of nodes below and including one: what a round of a loop evaluates at most. Inner loops pay for
// themselves besides.
func count(node parse.Node) int {
	switch n := node.(type) {
	case *parse.ListNode:
		sum := 1
		if n != nil {
			for _, child := range n.Nodes {
				sum += count(child)
			}
		}
		return sum
	case *parse.ActionNode:
		return 1 + count(n.Pipe)
	case *parse.IfNode:
		return countBranch(&n.BranchNode)
	case *parse.WithNode:
		return countBranch(&n.BranchNode)
	case *parse.RangeNode:
		return countBranch(&n.BranchNode)
	case *parse.PipeNode:
		sum := 1
		if n != nil {
			for _, command := range n.Cmds {
				for _, arg := range command.Args {
					sum += count(arg)
				}
			}
		}
		return sum
	}
	return 1
}

func countBranch(n *parse.BranchNode) int {
	return 1 + count(n.Pipe) + count(n.List) + count(n.ElseList)
}

// overData tells that a range is over one field, variable or the dot. Data holds no integer (numbers are text), so none of
// them counts.
func overData(p *parse.PipeNode) bool {
	if len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return false
	}
	switch p.Cmds[0].Args[0].(type) {
	case *parse.FieldNode, *parse.VariableNode, *parse.DotNode:
		return true
	}
	return false
}

func pipe(p *parse.PipeNode) error {
	if p == nil {
		return nil
	}
	for _, command := range p.Cmds {
		if err := call(command); err != nil {
			return err
		}
		for _, arg := range command.Args {
			if chain, ok := arg.(*parse.ChainNode); ok {
				arg = chain.Node // (pipeline).field
			}
			if nested, ok := arg.(*parse.PipeNode); ok {
				if err := pipe(nested); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// wide is a width or precision of more than three digits, from an argument, or an explicit argument index.
var wide = regexp.MustCompile(`%[-+# 0]*(?:\d{4,}|\d*\.\d{4,}|[\d.]*[*\[])`)

// call checks the names that a command calls, and printf's format: a wide field is a lot of memory for a short template.
func call(command *parse.CommandNode) error {
	for i, arg := range command.Args {
		name, ok := arg.(*parse.IdentifierNode)
		if ok && strings.HasPrefix(name.Ident, "_") {
			return errInternal
		}
		if !ok || name.Ident != "printf" {
			continue
		}
		if i != 0 || len(command.Args) < 2 {
			return errPrintf
		}
		format, ok := command.Args[1].(*parse.StringNode)
		if !ok || wide.MatchString(format.Text) {
			return errPrintf
		}
	}
	return nil
}
