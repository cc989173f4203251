package blade

import (
	"slices"
	"strings"
)

// A Template is a parsed template. It may be rendered by several goroutines at
// a time.
type Template struct {
	src  *source
	body []node
}

// Parse reads a template. Errors are of type [*Error].
func Parse(text string) (*Template, error) {
	src := newSource(text)
	if len(text) > MaxSource {
		return nil, src.limitf(0, "a template has %d octets at most", MaxSource)
	}
	pieces, err := scan(src)
	if err != nil {
		return nil, err
	}
	b := &builder{src: src, pieces: pieces}
	body, _, err := b.block(piece{})
	if err != nil {
		return nil, err
	}
	return &Template{src: src, body: body}, nil
}

// A builder makes nodes of pieces.
type builder struct {
	src    *source
	pieces []piece
	depth  int // blocks around
	loops  int // loops around
}

func (b *builder) take() piece {
	p := b.pieces[0]
	if p.kind != pieceEnd {
		b.pieces = b.pieces[1:]
	}
	return p
}

// block reads nodes up to a directive that ends or divides the opener's block,
// or to the end of the template if there is no opener.
func (b *builder) block(opener piece, stops ...string) ([]node, piece, error) {
	if b.depth++; b.depth > MaxNesting {
		return nil, piece{}, b.src.limitf(opener.at, "nested more than %d levels deep", MaxNesting)
	}
	defer func() { b.depth-- }()
	var out []node
	for {
		p := b.take()
		switch {
		case p.kind == pieceEnd && len(stops) > 0:
			return nil, p, b.src.errorf(opener.at, "@%s is not closed; write @%s", opener.name, stops[len(stops)-1])
		case p.kind == pieceEnd:
			return out, p, nil
		case p.kind == pieceDirective && b.stops(p, stops):
			return out, p, nil
		}
		nodes, err := b.nodes(p)
		if err != nil {
			return nil, p, err
		}
		out = append(out, nodes...)
	}
}

// stops reports whether a directive is one of those that end a block. The
// @empty of a @forelse has no parentheses.
func (b *builder) stops(p piece, stops []string) bool {
	return slices.Contains(stops, p.name) && (p.name != "empty" || !p.args)
}

// nodes are what a piece, and what belongs to it, stand for.
func (b *builder) nodes(p piece) ([]node, error) {
	switch p.kind {
	case pieceText:
		return []node{&textNode{at(p.at), p.text}}, nil
	case piecePHP:
		return parseStatements(b.src, p.from, p.to, b.loops)
	case pieceDirective:
		n, err := b.directive(p)
		return []node{n}, err
	}
	x, err := b.echo(p)
	return []node{&echoNode{at(p.at), x, p.kind == pieceEscaped}}, err
}

// echo reads the expression of an echo. What "or" means at the top of one has
// changed from one Blade to the next.
func (b *builder) echo(p piece) (expr, error) {
	parser, err := newParser(b.src, p.from, p.to, 0)
	if err != nil {
		return nil, err
	}
	depth := 0
	for _, t := range parser.tokens {
		switch {
		case t.is("("), t.is("["):
			depth++
		case t.is(")"), t.is("]"):
			depth--
		case depth == 0 && t.word("or"):
			return nil, b.src.errorf(t.at, "or is not clear in an echo; write ?? for a default, || for a condition")
		}
	}
	if parser.peek().kind == tokenEnd {
		return nil, b.src.errorf(p.at, "an echo without an expression; write a variable in it")
	}
	x, err := parser.expr()
	if err != nil {
		return nil, err
	}
	return x, parser.end()
}

func (b *builder) directive(p piece) (node, error) {
	switch p.name {
	case "if", "unless", "isset", "empty":
		return b.condition(p)
	case "foreach":
		return b.foreach(p)
	case "forelse":
		return b.forelse(p)
	case "break":
		return b.jump(p, errBreak)
	case "continue":
		return b.jump(p, errContinue)
	}
	opener := strings.TrimPrefix(p.name, "end")
	if opener == "else" || opener == "elseif" {
		opener = "if"
	}
	return nil, b.src.errorf(p.at, "@%s without @%s before it", p.name, opener)
}

// code checks that a directive has parentheses, or that it has none.
func (b *builder) code(p piece, wanted bool) error {
	switch {
	case wanted && !p.args:
		return b.src.errorf(p.at, "@%s needs parentheses behind it", p.name)
	case !wanted && p.args:
		return b.src.errorf(p.at, "@%s takes nothing in parentheses", p.name)
	}
	return nil
}

// condition reads @if, @unless, @isset or @empty with its other branches.
func (b *builder) condition(opener piece) (node, error) {
	n := &ifNode{}
	end := "end" + opener.name
	cond, err := b.asked(opener)
	if err != nil {
		return nil, err
	}
	for {
		body, stop, err := b.block(opener, "elseif", "else", end)
		if err != nil {
			return nil, err
		}
		n.branches = append(n.branches, branch{cond, body})
		switch stop.name {
		case "elseif":
			if cond, err = b.asked(stop); err != nil {
				return nil, err
			}
			continue
		case "else":
			if err := b.code(stop, false); err != nil {
				return nil, err
			}
			if body, stop, err = b.block(opener, end); err != nil {
				return nil, err
			}
			n.branches = append(n.branches, branch{nil, body})
		}
		return n, b.code(stop, false)
	}
}

// asked reads the condition of a directive.
func (b *builder) asked(p piece) (expr, error) {
	if err := b.code(p, true); err != nil {
		return nil, err
	}
	if p.name == "isset" || p.name == "empty" {
		parser, err := newParser(b.src, p.from, p.to, 0)
		if err != nil {
			return nil, err
		}
		end := parser.tokens[len(parser.tokens)-1]
		parser.tokens[len(parser.tokens)-1] = token{tokenMark, end.at, ")"}
		parser.tokens = append(parser.tokens, end)
		x, err := parser.asked(token{tokenName, p.at, p.name}, p.name)
		if err != nil {
			return nil, err
		}
		return x, parser.end()
	}
	x, err := parseExpr(b.src, p.from, p.to, 0)
	if p.name == "unless" {
		x = &unary{at(p.from), "!", x}
	}
	return x, err
}

// jump reads @break or @continue.
func (b *builder) jump(p piece, signal error) (node, error) {
	if b.loops == 0 {
		return nil, b.src.errorf(p.at, "@%s outside of a loop", p.name)
	}
	n := &jumpNode{err: signal}
	if !p.args {
		return n, nil
	}
	x, err := parseExpr(b.src, p.from, p.to, 0)
	if l, ok := x.(*literal); ok && isNumber(l.value) {
		return nil, b.src.errorf(p.from, "@%s leaves one loop at a time; write a condition or nothing", p.name)
	}
	n.cond = x
	return n, err
}

func (b *builder) foreach(p piece) (node, error) {
	n, err := b.loop(p)
	if err != nil {
		return nil, err
	}
	b.loops++
	body, stop, err := b.block(p, "endforeach")
	b.loops--
	if err != nil {
		return nil, err
	}
	n.body = body
	return n, b.code(stop, false)
}

func (b *builder) forelse(p piece) (node, error) {
	n, err := b.loop(p)
	if err != nil {
		return nil, err
	}
	b.loops++
	body, _, err := b.block(p, "empty")
	b.loops--
	if err != nil {
		return nil, err
	}
	otherwise, stop, err := b.block(p, "endforelse")
	if err != nil {
		return nil, err
	}
	n.body, n.otherwise = body, otherwise
	return n, b.code(stop, false)
}

// loop reads what a loop goes over.
func (b *builder) loop(p piece) (*loopNode, error) {
	if err := b.code(p, true); err != nil {
		return nil, err
	}
	parser, err := newParser(b.src, p.from, p.to, 0)
	if err != nil {
		return nil, err
	}
	n, err := parser.loop()
	if err != nil {
		return nil, err
	}
	n.at, n.counted = at(p.at), true
	return n, parser.end()
}
