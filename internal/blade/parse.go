package blade

import (
	"slices"
	"strings"
)

// A parser reads the code of one echo, directive or @php.
type parser struct {
	src    *source
	tokens []token
	next   int
	depth  int
}

// newParser lexes the code between two offsets.
func newParser(src *source, from, to, depth int) (*parser, error) {
	tokens, err := lex(src, from, to)
	return &parser{src: src, tokens: tokens, depth: depth}, err
}

// parseExpr reads the code between two offsets as one expression.
func parseExpr(src *source, from, to, depth int) (expr, error) {
	p, err := newParser(src, from, to, depth)
	if err != nil {
		return nil, err
	}
	if p.peek().kind == tokenEnd {
		return nil, src.errorf(from, "an expression is missing")
	}
	x, err := p.expr()
	if err != nil {
		return nil, err
	}
	return x, p.end()
}

func (p *parser) peek() token { return p.tokens[p.next] }

// ahead is the token behind the next one.
func (p *parser) ahead() token { return p.tokens[min(p.next+1, len(p.tokens)-1)] }

// take goes behind the next token, but not behind the end.
func (p *parser) take() token {
	t := p.tokens[p.next]
	if t.kind != tokenEnd {
		p.next++
	}
	return t
}

// accept takes a mark if it is next.
func (p *parser) accept(mark string) bool {
	if p.peek().is(mark) {
		p.next++
		return true
	}
	return false
}

func (p *parser) expect(mark string) error {
	if !p.accept(mark) {
		return p.unexpected(p.peek(), mark)
	}
	return nil
}

func (p *parser) end() error {
	if t := p.peek(); t.kind != tokenEnd {
		return p.unexpected(t, "an operator before it")
	}
	return nil
}

func (p *parser) unexpected(t token, fix string) error {
	if why := notSupported(t); why != "" {
		return p.src.errorf(t.at, "%s", why)
	}
	return p.src.errorf(t.at, "%s is not expected here; write %s", t, fix)
}

// notSupported explains marks and words of PHP that templates do not have.
func notSupported(t token) string {
	switch {
	case t.is("@"):
		return "@ before an expression is not supported; write ?? for what may be missing"
	case t.is("::"), t.is("\\"), t.word("new"), t.word("instanceof"):
		return "classes are not supported"
	case t.is("?->"):
		return "?-> is not supported; write ->"
	case t.is("<<"), t.is(">>"), t.is("^"), t.is("~"):
		return "bits are not shifted here: " + t.text + " is not supported"
	case t.word("function"):
		return "function is not supported; write fn($x) => …"
	case t.word("while"), t.word("for"), t.word("do"):
		return t.text + " is not supported; write foreach (range(1, 3) as $i)"
	case t.word("switch"), t.word("match"):
		return t.text + " is not supported; write if and elseif"
	case t.kind == tokenName && slices.Contains(neverSupported, strings.ToLower(t.text)):
		return t.text + " is not supported: a template only computes text"
	}
	return ""
}

var neverSupported = strings.Fields(`include include_once require require_once eval exit die print
	list static global class return throw try goto yield clone unset namespace use const declare`)

// nested reads something inside something else.
func (p *parser) nested(read func() (expr, error)) (expr, error) {
	if p.depth++; p.depth > MaxNesting {
		return nil, p.src.limitf(p.peek().at, "nested more than %d levels deep", MaxNesting)
	}
	x, err := read()
	p.depth--
	return x, err
}

// expr reads an expression: and, xor and or bind less than everything else.
func (p *parser) expr() (expr, error) {
	return p.nested(func() (expr, error) { return p.operators(0) })
}

// A level of operators that bind equally.
type level struct {
	ops   []string
	alone bool // a == b == c is an error
}

// levels are the operators with a left and a right side, the weakest first.
// Between && and "or" stand ?? and the ternary, which are not in the table.
var levels = []level{
	{ops: []string{"or"}},
	{ops: []string{"xor"}},
	{ops: []string{"and"}},
	{ops: []string{"?:"}},
	{ops: []string{"??"}},
	{ops: []string{"||"}},
	{ops: []string{"&&"}},
	{ops: []string{"|"}},
	{ops: []string{"&"}},
	{ops: []string{"==", "!=", "<>", "===", "!==", "<=>"}, alone: true},
	{ops: []string{"<", "<=", ">", ">="}, alone: true},
	{ops: []string{"."}},
	{ops: []string{"+", "-"}},
	{ops: []string{"*", "/", "%"}},
}

// operators reads operands and the operators between them that bind at least as
// a level does.
func (p *parser) operators(n int) (expr, error) {
	if n == len(levels) {
		return p.prefix()
	}
	switch levels[n].ops[0] {
	case "?:":
		return p.ternary(n + 1)
	case "??":
		return p.coalesce(n + 1)
	}
	x, err := p.operators(n + 1)
	for count := 0; err == nil; count++ {
		t := p.peek()
		op := strings.ToLower(t.text)
		if t.kind != tokenMark && t.kind != tokenName || !slices.Contains(levels[n].ops, op) {
			break
		}
		if levels[n].alone && count > 0 {
			return nil, p.unexpected(t, "parentheses around what is compared first")
		}
		p.take()
		var y expr
		if y, err = p.operators(n + 1); err == nil {
			x = operation(at(t.at), op, x, y)
		}
	}
	return x, err
}

// operation is an operator with its two sides.
func operation(place at, op string, x, y expr) expr {
	switch op {
	case "&&", "and":
		return &logical{place, "&&", x, y}
	case "||", "or":
		return &logical{place, "||", x, y}
	case "<>":
		op = "!="
	}
	return &binary{place, op, x, y}
}

// ternary reads x ? y : z and x ?: z. Only the short form may follow itself.
func (p *parser) ternary(n int) (expr, error) {
	x, err := p.operators(n)
	long := false
	for count := 0; err == nil && p.peek().is("?"); count++ {
		t := p.take()
		short := p.accept(":")
		if count > 0 && (long || !short) {
			return nil, p.src.errorf(t.at, "? behind ? is not clear; write parentheses around one of them")
		}
		e := &ternary{at: at(t.at), x: x}
		if !short {
			long = true
			if e.y, err = p.expr(); err == nil {
				err = p.expect(":")
			}
		}
		if err == nil {
			e.z, err = p.operators(n)
		}
		x = e
	}
	return x, err
}

// assigned reads what stands behind an assignment: anything but and, xor, or.
func (p *parser) assigned() (expr, error) { return p.operators(3) }

// coalesce reads x ?? y, where y may be such an expression again.
func (p *parser) coalesce(n int) (expr, error) {
	x, err := p.operators(n)
	if err != nil || !p.peek().is("??") {
		return x, err
	}
	t := p.take()
	y, err := p.nested(func() (expr, error) { return p.coalesce(n) })
	return &coalesce{at(t.at), x, y}, err
}

// prefix reads an operand with what stands before it.
func (p *parser) prefix() (expr, error) {
	t := p.peek()
	switch {
	case t.is("!"):
		p.take()
		x, err := p.nested(p.prefix)
		return &unary{at(t.at), "!", x}, err
	case t.is("-"), t.is("+"):
		p.take()
		x, err := p.nested(p.prefix)
		return &unary{at(t.at), t.text, x}, err
	case t.is("++"), t.is("--"):
		p.take()
		x, err := p.nested(p.prefix)
		if err != nil {
			return nil, err
		}
		return p.increment(t, x, true)
	case t.is("(") && p.ahead().kind == tokenName && p.tokens[min(p.next+2, len(p.tokens)-1)].is(")"):
		if to := castTo(p.ahead().text); to != "" {
			p.next += 3
			x, err := p.nested(p.prefix)
			return &cast{at(t.at), to, x}, err
		}
	}
	return p.power()
}

// power reads x ** y, which binds more than a sign before it and is read from
// the right.
func (p *parser) power() (expr, error) {
	x, err := p.operand()
	if err != nil || !p.peek().is("**") {
		return x, err
	}
	t := p.take()
	y, err := p.nested(p.prefix)
	return &binary{at(t.at), "**", x, y}, err
}

// castTo is the type that a cast names, or "".
func castTo(name string) string {
	switch strings.ToLower(name) {
	case "string":
		return "string"
	case "int", "integer":
		return "int"
	case "bool", "boolean":
		return "bool"
	case "float", "double":
		return "float"
	case "array":
		return "array"
	}
	return ""
}

// increment is ++ or -- of something that can be assigned.
func (p *parser) increment(t token, x expr, before bool) (expr, error) {
	if !assignable(x) {
		return nil, p.unexpected(t, "a variable with it")
	}
	by := int64(1)
	if t.is("--") {
		by = -1
	}
	return &increment{at(t.at), x, by, before}, nil
}

// assignable reports whether an expression can stand before =.
func assignable(x expr) bool {
	switch x := x.(type) {
	case *variable:
		return true
	case *element:
		return assignable(x.base)
	}
	return false
}
