package blade

import (
	"strconv"
	"strings"
)

// operand reads a value with what stands behind it: indexes, calls, an
// assignment.
func (p *parser) operand() (expr, error) {
	x, err := p.primary()
	for err == nil {
		t := p.peek()
		switch {
		case t.is("["):
			x, err = p.element(x)
		case t.is("->"):
			x, err = p.member(x)
		case t.is("++"), t.is("--"):
			p.take()
			return p.increment(t, x, false)
		case t.is("("):
			return nil, p.unexpected(t, "the name of a function before it")
		case t.kind == tokenMark && assigns(t.text):
			return p.assignment(x)
		default:
			return x, checkRead(p.src, x)
		}
	}
	return nil, err
}

// assigns reports whether a mark is an assignment.
func assigns(mark string) bool {
	switch mark {
	case "=", "+=", "-=", "*=", "/=", ".=", "%=", "**=", "??=":
		return true
	}
	return false
}

// checkRead refuses a[] where it is not assigned.
func checkRead(src *source, x expr) error {
	for {
		e, ok := x.(*element)
		if !ok {
			return nil
		}
		if e.key == nil {
			return src.errorf(e.place(), "[] has no value; write a key between the brackets")
		}
		x = e.base
	}
}

func (p *parser) assignment(x expr) (expr, error) {
	t := p.take()
	if !assignable(x) {
		return nil, p.unexpected(t, "a variable before it, or === to compare")
	}
	if p.peek().is("&") {
		return nil, p.src.errorf(p.peek().at, "references are not supported")
	}
	op := strings.TrimSuffix(t.text, "=")
	if op != "" {
		if err := checkRead(p.src, x); err != nil {
			return nil, err
		}
	}
	y, err := p.nested(p.assigned)
	return &assignment{at(t.at), x, op, y}, err
}

// element reads [key] or [].
func (p *parser) element(base expr) (expr, error) {
	t := p.take()
	if p.accept("]") {
		return &element{at(t.at), base, nil}, nil
	}
	k, err := p.expr()
	if err != nil {
		return nil, err
	}
	return &element{at(t.at), base, k}, p.expect("]")
}

// member reads ->name or ->name(…).
func (p *parser) member(base expr) (expr, error) {
	p.take()
	name := p.take()
	if name.kind != tokenName {
		return nil, p.unexpected(name, "a name behind ->")
	}
	if !p.accept("(") {
		return &property{at(name.at), base, name.text}, nil
	}
	args, err := p.list(")")
	return &methodCall{at(name.at), base, name.text, args}, err
}

// list reads expressions up to a closing mark.
func (p *parser) list(closing string) ([]expr, error) {
	var out []expr
	for !p.accept(closing) {
		x, err := p.expr()
		if err != nil {
			return nil, err
		}
		out = append(out, x)
		if !p.accept(",") && !p.peek().is(closing) {
			return nil, p.unexpected(p.peek(), ", or "+closing)
		}
	}
	return out, nil
}

// primary reads a value.
func (p *parser) primary() (expr, error) {
	t := p.take()
	switch t.kind {
	case tokenVariable:
		return &variable{at(t.at), t.text}, nil
	case tokenNumber:
		return p.number(t)
	case tokenSingle:
		return &literal{at(t.at), unquote(t.text)}, nil
	case tokenDouble:
		return p.fill(t)
	case tokenName:
		return p.name(t)
	}
	switch {
	case t.is("("):
		x, err := p.expr()
		if err != nil {
			return nil, err
		}
		return x, p.expect(")")
	case t.is("["):
		return p.array(t, "]")
	case t.is("\\") && p.peek().kind == tokenName && p.ahead().is("("):
		return p.name(p.take())
	}
	return nil, p.unexpected(t, "a value")
}

// name reads a constant, a call, or one of the words that look like calls.
func (p *parser) name(t token) (expr, error) {
	if why := notSupported(t); why != "" {
		return nil, p.src.errorf(t.at, "%s", why)
	}
	word := strings.ToLower(t.text)
	if word == "fn" {
		return p.arrow(t)
	}
	if !p.accept("(") {
		if v, ok := constant(t.text); ok {
			return &literal{at(t.at), v}, nil
		}
		return nil, p.src.errorf(t.at, "%s is not a constant; write $%s for a variable or '%s' for a string", t.text, t.text, t.text)
	}
	switch word {
	case "array":
		return p.array(t, ")")
	case "isset", "empty":
		return p.asked(t, word)
	}
	args, err := p.list(")")
	if err != nil {
		return nil, err
	}
	fn, ok := functions[word]
	if !ok {
		return nil, p.src.errorf(t.at, "%s() is not one of the functions that a template may call", t.text)
	}
	if len(args) < fn.min || len(args) > fn.max {
		return nil, p.src.errorf(t.at, "%s() takes %s, not %d", word, fn.arity(), len(args))
	}
	return &call{at(t.at), word, fn, args}, nil
}

// asked reads isset(…) and empty(…).
func (p *parser) asked(t token, word string) (expr, error) {
	of, err := p.list(")")
	switch {
	case err != nil:
		return nil, err
	case len(of) == 0, word == "empty" && len(of) > 1:
		return nil, p.src.errorf(t.at, "%s() takes a variable", word)
	case word == "empty":
		return &empty{at(t.at), of[0]}, nil
	}
	for _, x := range of {
		switch x.(type) {
		case *variable, *element, *property:
		default:
			return nil, p.src.errorf(x.place(), "isset() takes a variable; write … !== null")
		}
	}
	return &isset{at(t.at), of}, nil
}

// array reads the items of [ … ] or array( … ).
func (p *parser) array(t token, closing string) (expr, error) {
	a := &arrayLiteral{at: at(t.at)}
	for !p.accept(closing) {
		x, err := p.expr()
		if err != nil {
			return nil, err
		}
		entry := item{value: x}
		if p.accept("=>") {
			entry.key = x
			if entry.value, err = p.expr(); err != nil {
				return nil, err
			}
		}
		a.items = append(a.items, entry)
		if !p.accept(",") && !p.peek().is(closing) {
			return nil, p.unexpected(p.peek(), ", or "+closing)
		}
	}
	return a, nil
}

// arrow reads fn($a, $b) => expression.
func (p *parser) arrow(t token) (expr, error) {
	a := &arrow{at: at(t.at)}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	for !p.accept(")") {
		name := p.take()
		if name.kind != tokenVariable {
			return nil, p.unexpected(name, "a variable")
		}
		a.params = append(a.params, name.text)
		if !p.accept(",") && !p.peek().is(")") {
			return nil, p.unexpected(p.peek(), ", or )")
		}
	}
	if err := p.expect("=>"); err != nil {
		return nil, err
	}
	body, err := p.nested(p.assigned)
	a.body = body
	return a, err
}

// number reads a number as PHP writes it.
func (p *parser) number(t token) (expr, error) {
	digits := strings.ReplaceAll(t.text, "_", "")
	n, err := strconv.ParseInt(t.text, 0, 64)
	switch {
	case err == nil:
		return &literal{at(t.at), n}, nil
	case strings.HasSuffix(t.text, "_"), strings.Contains(t.text, "__"), len(t.text) > 1 && strings.IndexByte("xXbBoO0123456789", t.text[1]) >= 0 && t.text[0] == '0':
		return nil, p.src.errorf(t.at, "%s is not a number", t.text)
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return nil, p.src.errorf(t.at, "%s is not a number that fits", t.text)
	}
	return &literal{at(t.at), f}, nil
}
