package iam

// Work is what policies cost at most to be evaluated, in steps: comparisons of a byte, and looks at an element. It is counted and not
// tried, so that what costs too much can be refused before it begins. A [Meter] counts the same steps while they are made. A step takes
// one to three nanoseconds.
type Work struct {
	// Fixed is for each question, whatever it is.
	Fixed int64
	// Action and Resource are for each byte of the question's action and resource.
	Action, Resource int64
}

// Of is the work of one question.
func (w Work) Of(action, resource string) int64 {
	return w.Fixed + w.Action*int64(len(action)) + w.Resource*int64(len(resource))
}

// WorkOf is what the policies cost in a context that has all the keys that the questions will have.
func WorkOf(p *Policies, in Map) Work {
	counter := workCounter{in: in}
	for _, values := range in {
		for _, v := range values {
			counter.longest = max(counter.longest, int64(len(v)))
		}
	}
	for _, policy := range p.Identity {
		counter.policy(policy)
	}
	for _, policy := range p.Session {
		counter.policy(policy)
	}
	counter.policy(p.Boundary)
	counter.policy(p.Resource)
	return counter.Work
}

type workCounter struct {
	Work
	in Map
	// longest is what a policy variable can stand for, in bytes.
	longest int64
}

// policy adds a policy. Each of its statements is looked at once for a question: Evaluate asks those that deny, and then those that
// allow.
func (w *workCounter) policy(p *Policy) {
	if p == nil {
		return
	}
	for i := range p.statements {
		s := &p.statements[i]
		w.Fixed++
		for i := range s.actions {
			fixed, each := s.actions[i].cost(w.longest)
			w.Fixed, w.Action = w.Fixed+fixed, w.Action+each
		}
		for i := range s.resources {
			fixed, each := s.resources[i].cost(w.longest)
			w.Fixed, w.Resource = w.Fixed+fixed, w.Resource+each
		}
		for _, who := range []*principals{s.principal, s.notPrincipal} {
			if who != nil { // looked through for the account, the ARN and the role, twice
				w.Fixed += 8 * int64(len(who.accounts)+len(who.named)+len(who.services)+len(who.federals))
			}
		}
		for i := range s.conditions {
			w.condition(&s.conditions[i])
		}
	}
}

// condition adds a condition: each of its values for each value of its key.
func (w *workCounter) condition(c *condition) {
	w.Fixed++
	values := w.in[c.key]
	if len(values) == 0 {
		return
	}
	bytes := int64(0)
	for _, value := range values {
		bytes += int64(len(value))
	}
	for _, of := range c.values { // looked through once, however many values it is compared with
		fixed, each := costOf(of, w.longest)
		w.Fixed += fixed*int64(len(values)) + each*bytes
	}
}

// costOf is what one comparand costs: so many steps, and so many for each byte of the request's value.
func costOf(c comparand, longest int64) (fixed, each int64) {
	switch c := c.(type) {
	case *stringValue:
		fixed, each = c.pattern.cost(longest)
		return fixed, each + 1 // for its case
	case *arnValue:
		return c.arn.cost(longest)
	case *boolValue:
		fixed, each = c.pattern.cost(longest)
		return fixed, each + 1
	}
	return parsing(""), parsing(" ") - parsing("")
}

func (a *arnPattern) cost(longest int64) (fixed, each int64) {
	fixed = 1
	for i := range a.parts {
		f, e := a.parts[i].cost(longest)
		fixed, each = fixed+f, max(each, e) // the parts share the ARN's bytes
	}
	return fixed, each
}

// cost is what resolve and match cost at most: so many steps, and so many for each byte that is matched. A star's literals are searched
// for in one pass over the text; those with a question mark among them too, by so many words of bits as they take.
func (p *pattern) cost(longest int64) (fixed, each int64) {
	stars, words, one := int64(0), int64(0), false
	part := int64(0) // of the pattern since the last star
	end := func() {
		if one && stars > 0 {
			words = max(words, wordsOf(part))
			fixed += part * coreSetUp
		}
		part, one = 0, false
	}
	for i := range p.tokens {
		t := &p.tokens[i]
		size := 1 + int64(len(t.text))
		if t.kind == variable {
			size += 2 * max(longest, int64(len(t.fallback)))
		}
		fixed += size
		if t.kind == anyRun {
			end()
			stars++
			continue
		}
		part += size
		one = one || t.kind == anyOne
	}
	end()
	if each = 1 + words; stars == 0 {
		each = 0
	}
	return fixed + comparing, each
}
