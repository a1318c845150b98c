package iam

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"strings"
)

// The versions of the policy language. Policy variables came with the second.
const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// Parse compiles a document of a type. The error is a *SyntaxError, which wraps ErrMalformed. Elements are case-sensitive;
// a member that AWS does not know, or that occurs twice, is refused.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func Parse(document []byte, t Type) (*Policy, error) {
	if len(document) > MaximumDocument {
		return nil, &SyntaxError{Offset: -1, Problem: fmt.Sprintf("the document has %d bytes; AWS takes at most %d", len(document), MaximumDocument)}
	}
	p := &parser{d: jsontext.NewDecoder(bytes.NewReader(document)), policy: t}
	out, err := p.document()
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, p.located(err)
	}
	return out, nil
}

// parser reads one document, token by token, so that every error knows its place.
type parser struct {
	d      *jsontext.Decoder
	policy Type
	vars   bool
	sids   map[string]bool
}

func (p *parser) located(err error) error {
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		return syntax
	}
	problem := err.Error()
	var json *jsontext.SyntacticError
	if errors.As(err, &json) {
		return &SyntaxError{Pointer: string(json.JSONPointer), Offset: json.ByteOffset, Problem: "this is not JSON: " + json.Err.Error()}
	}
	return &SyntaxError{Pointer: string(p.d.StackPointer()), Offset: p.d.InputOffset(), Problem: problem}
}

func (p *parser) end() error {
	if _, err := p.d.ReadToken(); err == nil {
		return errors.New("something follows the document")
	}
	return nil
}

// object reads an object and hands each member's name to read, which must read its value.
func (p *parser) object(what string, read func(name string) error) error {
	token, err := p.d.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != '{' {
		return fmt.Errorf("%s is an object", what)
	}
	if p.d.StackDepth() > maximumDepth {
		return errors.New("the document is nested too deeply")
	}
	for p.d.PeekKind() != '}' {
		name, err := p.d.ReadToken()
		if err != nil {
			return err
		}
		if err := read(name.String()); err != nil {
			return err
		}
	}
	_, err = p.d.ReadToken()
	return err
}

// oneOrMany reads one value or an array of them.
func (p *parser) oneOrMany(read func() error) error {
	if p.d.PeekKind() != '[' {
		return read()
	}
	if _, err := p.d.ReadToken(); err != nil {
		return err
	}
	for p.d.PeekKind() != ']' {
		if p.d.PeekKind() == '[' {
			return errors.New("an array in an array")
		}
		if err := read(); err != nil {
			return err
		}
	}
	_, err := p.d.ReadToken()
	return err
}

func (p *parser) text(what string) (string, error) {
	token, err := p.d.ReadToken()
	if err != nil {
		return "", err
	}
	if token.Kind() != '"' {
		return "", fmt.Errorf("%s is a string", what)
	}
	return token.String(), nil
}

// document reads the whole. Version may follow the statements, and changes how they are read, so they are read last.
func (p *parser) document() (*Policy, error) {
	outer := outerElements{version: version2008}
	err := p.object("a policy", func(name string) error { return p.outerElement(&outer, name) })
	if err != nil {
		return nil, err
	}
	if outer.statements == nil {
		return nil, &SyntaxError{Offset: -1, Problem: "there is no Statement"}
	}
	return p.statements(&outer)
}

// outerElements are those of a policy.
type outerElements struct {
	version    string
	statements jsontext.Value
	// offset of statements in the document.
	offset int64
}

func (p *parser) outerElement(outer *outerElements, name string) (err error) {
	switch name {
	case "Version":
		outer.version, err = p.text("Version")
		if err == nil && outer.version != version2008 && outer.version != version2012 {
			return fmt.Errorf("the element Version is %s or %s", version2012, version2008)
		}
	case "Id":
		_, err = p.text("Id")
	case "Statement":
		p.d.PeekKind()
		outer.statements, err = p.d.ReadValue()
		outer.offset = p.d.InputOffset() - int64(len(outer.statements))
		outer.statements = outer.statements.Clone()
	default:
		return fmt.Errorf("%q is not an element of a policy: it has Version, Id and Statement", name)
	}
	return err
}

func (p *parser) statements(outer *outerElements) (*Policy, error) {
	inner := &parser{
		d:      jsontext.NewDecoder(bytes.NewReader(outer.statements)),
		policy: p.policy, vars: outer.version == version2012, sids: map[string]bool{},
	}
	out := &Policy{}
	err := inner.oneOrMany(func() error {
		s, err := inner.statement()
		out.statements = append(out.statements, s)
		return err
	})
	if err == nil && len(out.statements) == 0 {
		err = errors.New("there is no statement in Statement")
	}
	if err != nil {
		located := inner.located(err)
		var syntax *SyntaxError
		if errors.As(located, &syntax) {
			syntax.Pointer = "/Statement" + syntax.Pointer
			if syntax.Offset >= 0 {
				syntax.Offset += outer.offset
			}
		}
		return nil, located
	}
	return out, nil
}

// elements notes which elements a statement has.
type elements struct{ effect, action, resource, principal bool }

func (p *parser) statement() (statement, error) {
	var s statement
	var has elements
	err := p.object("a statement", func(name string) error { return p.element(&s, &has, name) })
	if err != nil {
		return s, err
	}
	return s, p.complete(&s, &has)
}

func (p *parser) element(s *statement, has *elements, name string) (err error) {
	twice := func(seen *bool, pair string) error {
		if *seen {
			return fmt.Errorf("a statement has one of %s", pair)
		}
		*seen = true
		return nil
	}
	switch name {
	case "Sid":
		return p.sid(s)
	case "Effect":
		has.effect = true
		return p.effect(s)
	case "Action", "NotAction":
		if err := twice(&has.action, "Action and NotAction"); err != nil {
			return err
		}
		s.notAction = name == "NotAction"
		return p.oneOrMany(func() error { return p.action(s) })
	case "Resource", "NotResource":
		if err := twice(&has.resource, "Resource and NotResource"); err != nil {
			return err
		}
		if p.policy == Trust {
			return errors.New("a trust policy has no resource: it is the role's own")
		}
		s.notResource = name == "NotResource"
		return p.oneOrMany(func() error { return p.resource(s) })
	case "Principal", "NotPrincipal":
		if err := twice(&has.principal, "Principal and NotPrincipal"); err != nil {
			return err
		}
		return p.principalElement(s, name == "NotPrincipal")
	case "Condition":
		return p.object("Condition", func(operator string) error { return p.conditions(s, operator) })
	}
	return fmt.Errorf("%q is not an element of a statement", name)
}

func (p *parser) principalElement(s *statement, not bool) error {
	if p.policy == Identity {
		return errors.New("an identity-based policy has no principal: it is whom it is attached to")
	}
	who, err := p.principals()
	if not {
		s.notPrincipal = who
	} else {
		s.principal = who
	}
	return err
}

func (p *parser) sid(s *statement) error {
	sid, err := p.text("Sid")
	if err != nil {
		return err
	}
	allowed := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	if p.policy != Identity {
		allowed += " -_."
	}
	if strings.Trim(sid, allowed) != "" {
		return errors.New("a Sid has letters and digits only")
	}
	if sid != "" && p.sids[sid] {
		return fmt.Errorf("two statements have the Sid %s", sid)
	}
	p.sids[sid], s.sid = true, sid
	return nil
}

func (p *parser) effect(s *statement) error {
	text, err := p.text("Effect")
	if err != nil {
		return err
	}
	switch text {
	case "Allow":
		s.effect = allow
	case "Deny":
		s.effect = deny
	default:
		return errors.New("an Effect is Allow or Deny")
	}
	return nil
}

func (p *parser) action(s *statement) error {
	text, err := p.text("Action")
	if err != nil {
		return err
	}
	if text != "*" {
		service, operation, ok := strings.Cut(text, ":")
		if !ok || service == "" || operation == "" || strings.ContainsAny(service, "*?") || strings.ContainsAny(text, " $") {
			return fmt.Errorf("%q is not an action: write * or SERVICE:OPERATION, such as kms:Decrypt or secretsmanager:Get*", text)
		}
	}
	compiled, err := fold(text)
	s.actions = append(s.actions, compiled)
	return err
}

func (p *parser) resource(s *statement) error {
	text, err := p.text("Resource")
	if err != nil {
		return err
	}
	compiled, err := compileARN(text, p.vars)
	s.resources = append(s.resources, compiled)
	return err
}

func (p *parser) principals() (*principals, error) {
	out := &principals{}
	if p.d.PeekKind() == '"' {
		text, err := p.text("Principal")
		if err == nil && text != "*" {
			err = errors.New(`Principal is "*" or an object with AWS, Service or Federated`)
		}
		out.everyone = true
		return out, err
	}
	err := p.object("Principal", func(kind string) error {
		return p.oneOrMany(func() error {
			value, err := p.text(kind)
			if err != nil {
				return err
			}
			switch kind {
			case "AWS":
				return out.addAWS(value)
			case "Service":
				out.services = append(out.services, value)
			case "Federated":
				out.federals = append(out.federals, value)
			default:
				return fmt.Errorf("%q is not a kind of principal: there are AWS, Service and Federated", kind)
			}
			return nil
		})
	})
	return out, err
}

func (p *parser) conditions(s *statement, operator string) error {
	return p.object(operator, func(key string) error {
		var values []string
		err := p.oneOrMany(func() error {
			token, err := p.d.ReadToken()
			if err != nil {
				return err
			}
			switch token.Kind() {
			case '"', '0', 't', 'f':
				values = append(values, token.String())
				return nil
			}
			return errors.New("a condition's value is a string, a number, true or false")
		})
		if err != nil {
			return err
		}
		c, err := newCondition(operator, key, values, p.vars)
		s.conditions = append(s.conditions, c)
		return err
	})
}

// complete checks that a statement has all that its type of policy needs.
func (p *parser) complete(s *statement, has *elements) error {
	missing := func(what string) error {
		return &SyntaxError{Pointer: string(p.d.StackPointer()), Offset: -1, Problem: "the statement has no " + what}
	}
	switch {
	case !has.effect:
		return missing("Effect")
	case p.policy != Identity && !has.principal:
		return missing("Principal or NotPrincipal")
	case p.policy == Key:
		return nil // AWS KMS accepts it, and it does nothing: neither list names anything
	case !has.action:
		return missing("Action or NotAction")
	case !has.resource && p.policy != Trust:
		return missing("Resource or NotResource")
	}
	s.anyResource = p.policy == Trust
	return nil
}
