package blade

import "errors"

// What a node returns to leave a loop or a round of it.
var (
	errBreak    = errors.New("break")
	errContinue = errors.New("continue")
)

// A statements parser reads the code of @php.
type statements struct {
	*parser
	loops int // loops around
}

// parseStatements reads the code between two offsets.
func parseStatements(src *source, from, to, loops int) ([]node, error) {
	p, err := newParser(src, from, to, 0)
	if err != nil {
		return nil, err
	}
	s := &statements{p, loops}
	var out []node
	for p.peek().kind != tokenEnd {
		if out, err = s.statement(out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// statement reads one statement and appends what it does.
func (s *statements) statement(out []node) ([]node, error) {
	t := s.peek()
	switch {
	case t.is(";"):
		s.take()
		return out, nil
	case t.word("if"):
		n, err := s.conditional()
		return append(out, n), err
	case t.word("foreach"):
		n, err := s.foreach()
		return append(out, n), err
	case t.word("echo"):
		return s.echo(out)
	case t.word("break"), t.word("continue"):
		n, err := s.jump()
		return append(out, n), err
	}
	x, err := s.expr()
	if err != nil {
		return nil, err
	}
	return append(out, &doNode{x}), s.terminate()
}

// terminate takes the ; behind a statement; the last one needs none.
func (s *statements) terminate() error {
	if s.peek().kind == tokenEnd || s.accept(";") {
		return nil
	}
	return s.unexpected(s.peek(), "; before it")
}

// body reads { … } or one statement.
func (s *statements) body() ([]node, error) {
	if s.depth++; s.depth > MaxNesting {
		return nil, s.src.limitf(s.peek().at, "nested more than %d levels deep", MaxNesting)
	}
	defer func() { s.depth-- }()
	if s.peek().kind == tokenEnd || s.peek().is(":") {
		return nil, s.unexpected(s.peek(), "{")
	}
	if !s.accept("{") {
		return s.statement(nil)
	}
	var out []node
	var err error
	for !s.accept("}") {
		if s.peek().kind == tokenEnd {
			return nil, s.unexpected(s.peek(), "}")
		}
		if out, err = s.statement(out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// conditional reads if with its elseif and else.
func (s *statements) conditional() (node, error) {
	n := &ifNode{}
	for {
		s.take() // if, elseif
		cond, err := s.inParentheses()
		if err != nil {
			return nil, err
		}
		body, err := s.body()
		if err != nil {
			return nil, err
		}
		n.branches = append(n.branches, branch{cond, body})
		switch t := s.peek(); {
		case t.word("elseif"):
		case t.word("else") && s.ahead().word("if"):
			s.take()
		case t.word("else"):
			s.take()
			body, err := s.body()
			n.branches = append(n.branches, branch{nil, body})
			return n, err
		default:
			return n, nil
		}
	}
}

func (s *statements) inParentheses() (expr, error) {
	if err := s.expect("("); err != nil {
		return nil, err
	}
	x, err := s.expr()
	if err != nil {
		return nil, err
	}
	return x, s.expect(")")
}

func (s *statements) foreach() (node, error) {
	t := s.take()
	if err := s.expect("("); err != nil {
		return nil, err
	}
	n, err := s.loop()
	if err != nil {
		return nil, err
	}
	n.at = at(t.at)
	if err := s.expect(")"); err != nil {
		return nil, err
	}
	s.loops++
	n.body, err = s.body()
	s.loops--
	return n, err
}

func (s *statements) echo(out []node) ([]node, error) {
	t := s.take()
	for {
		x, err := s.expr()
		if err != nil {
			return nil, err
		}
		out = append(out, &echoNode{at(t.at), x, false})
		if !s.accept(",") {
			return out, s.terminate()
		}
	}
}

func (s *statements) jump() (node, error) {
	t := s.take()
	if s.loops == 0 {
		return nil, s.src.errorf(t.at, "%s outside of a loop", t.text)
	}
	n := &jumpNode{err: errBreak}
	if t.word("continue") {
		n.err = errContinue
	}
	return n, s.terminate()
}

// loop reads "array as $value", "array as $key => $value".
func (p *parser) loop() (*loopNode, error) {
	over, err := p.expr()
	if err != nil {
		return nil, err
	}
	if t := p.take(); !t.word("as") {
		return nil, p.unexpected(t, "as and a variable")
	}
	n := &loopNode{over: over}
	if n.value, err = p.pattern(); err != nil {
		return nil, err
	}
	if p.accept("=>") {
		k := n.value
		if k.parts != nil {
			return nil, p.src.errorf(k.place(), "a key has no parts; write a variable")
		}
		n.key = &k
		n.value, err = p.pattern()
	}
	return n, err
}

// pattern reads a variable, or [$a, $b] or ['key' => $a].
func (p *parser) pattern() (pattern, error) {
	t := p.take()
	out := pattern{at: at(t.at)}
	switch {
	case t.kind == tokenVariable:
		out.name = t.text
		return out, nil
	case !t.is("["):
		return out, p.unexpected(t, "a variable")
	}
	if p.depth++; p.depth > MaxNesting {
		return out, p.src.limitf(t.at, "nested more than %d levels deep", MaxNesting)
	}
	defer func() { p.depth-- }()
	for !p.accept("]") {
		part := patternPart{key: int64(len(out.parts))}
		if k := p.peek(); k.kind == tokenSingle || k.kind == tokenNumber {
			x, err := p.primary()
			if err != nil {
				return out, err
			}
			part.key = x.(*literal).value
			if err := p.expect("=>"); err != nil {
				return out, err
			}
		}
		var err error
		if part.place, err = p.pattern(); err != nil {
			return out, err
		}
		out.parts = append(out.parts, part)
		if !p.accept(",") && !p.peek().is("]") {
			return out, p.unexpected(p.peek(), ", or ]")
		}
	}
	if len(out.parts) == 0 {
		return out, p.src.errorf(t.at, "[] holds no variable")
	}
	return out, nil
}
