package dnstmpl

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
)

// Parse reads a template in the language of text/template. The error is Problems,
// which name the template by name.
func Parse(name, text string) (*Template, error) {
	if err := checkSource(name, text); err != nil {
		return nil, err
	}
	t, err := parseText(text)
	if err != nil {
		return nil, (&Template{name: name}).named(asProblems(err))
	}
	return &Template{name: name, body: t}, nil
}

// A textBody is a template of text/template. Before each of its nodes stands a call
// of the function that stepFunc names, with the place of the node, so that its steps
// are counted and it is known where output is from.
type textBody struct{ template *template.Template }

const (
	stepFunc = "step" // not in the list of functions: no template may call it
	inside   = "t"    // the name that text/template puts into its errors
)

func parseText(text string) (textBody, error) {
	funcs := functions(&output{})
	funcs[stepFunc] = func(int, int, int, bool) (string, error) { return "", nil }
	t, err := template.New(inside).Funcs(funcs).Option("missingkey=error").Parse(text)
	if err != nil {
		return textBody{}, textProblem(err)
	}
	m := marker{source: newSource(text)}
	for _, part := range t.Templates() {
		m.calls = map[string]bool{}
		m.list(part.Root)
		m.edges = append(m.edges, edge{part.Name(), m.calls})
	}
	if err := m.circle(); err != nil {
		m.problems = append(m.problems, *err)
	}
	if len(m.problems) > 0 {
		return textBody{}, m.problems
	}
	return textBody{t}, nil
}

// execute implements body.
func (t textBody) execute(out *output, d Data) error {
	clone, err := t.template.Clone()
	if err != nil {
		return err
	}
	w := &textWriter{out: out}
	funcs := functions(out)
	funcs[stepFunc] = w.step
	if err := clone.Funcs(funcs).Execute(w, d); err != nil {
		return textProblem(err)
	}
	return nil
}

// A textWriter takes what text/template writes. Of each piece the call of step
// before it has told where it is from.
type textWriter struct {
	out     *output
	at      place
	literal bool
}

func (w *textWriter) step(line, column, cost int, literal bool) (string, error) {
	w.at, w.literal = place{line, column}, literal
	return "", w.out.step(w.at, cost)
}

// Write implements io.Writer.
func (w *textWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if w.literal {
		return len(p), w.out.literal(w.at, p)
	}
	return len(p), w.out.value(w.at, p)
}

// A marker puts the calls of step into a parsed template, and looks at which
// functions and templates it calls.
type marker struct {
	source   sourceText
	problems Problems
	calls    map[string]bool
	edges    []edge
}

// An edge says which templates one template calls.
type edge struct {
	name  string
	calls map[string]bool
}

// list marks the nodes of a list. An empty list gets one call: the rounds of a loop
// around it count.
func (m *marker) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	marked := make([]parse.Node, 0, 2*len(l.Nodes)+1)
	for _, n := range l.Nodes {
		cost, literal := m.node(n)
		marked = append(marked, m.call(n.Position(), cost, literal), n)
	}
	if len(marked) == 0 {
		marked = append(marked, m.call(l.Pos, 1, false))
	}
	l.Nodes = marked
}

// node marks what is inside a node. cost is the number of nodes that are executed
// with it.
func (m *marker) node(n parse.Node) (cost int, literal bool) {
	switch n := n.(type) {
	case *parse.TextNode:
		return 1, true
	case *parse.ActionNode:
		return m.pipe(n.Pipe), false
	case *parse.IfNode:
		return m.branch(&n.BranchNode), false
	case *parse.RangeNode:
		return m.branch(&n.BranchNode), false
	case *parse.WithNode:
		return m.branch(&n.BranchNode), false
	case *parse.TemplateNode:
		m.calls[n.Name] = true
		return m.pipe(n.Pipe), false
	}
	return 1, false
}

func (m *marker) branch(n *parse.BranchNode) int {
	cost := m.pipe(n.Pipe)
	m.list(n.List)
	m.list(n.ElseList)
	return cost
}

// pipe counts the nodes of a pipeline and checks its functions.
func (m *marker) pipe(p *parse.PipeNode) int {
	if p == nil {
		return 1
	}
	cost := 1
	for _, command := range p.Cmds {
		for _, arg := range command.Args {
			cost += m.argument(arg)
		}
	}
	return cost
}

func (m *marker) argument(n parse.Node) int {
	switch n := n.(type) {
	case *parse.PipeNode:
		return m.pipe(n)
	case *parse.ChainNode:
		return 1 + m.argument(n.Node)
	case *parse.IdentifierNode:
		if !slices.Contains(functionNames(), n.Ident) {
			at := m.source.place(int(n.Pos))
			m.problems = append(m.problems, Problem{
				Line: at.line, Column: at.column, Rule: RuleSyntax,
				Text: fmt.Sprintf("the function %q is not one that templates have", n.Ident),
				Fix:  "one of " + strings.Join(functionNames(), " "),
			})
		}
	}
	return 1
}

// call is a call of step.
func (m *marker) call(pos parse.Pos, cost int, literal bool) parse.Node {
	at := m.source.place(int(pos))
	number := func(n int) parse.Node {
		return &parse.NumberNode{NodeType: parse.NodeNumber, Pos: pos, IsInt: true, Int64: int64(n), Text: strconv.Itoa(n)}
	}
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Line: at.line, Pipe: &parse.PipeNode{
		NodeType: parse.NodePipe, Pos: pos, Line: at.line, Cmds: []*parse.CommandNode{{
			NodeType: parse.NodeCommand, Pos: pos, Args: []parse.Node{
				parse.NewIdentifier(stepFunc).SetPos(pos),
				number(at.line), number(at.column), number(cost),
				&parse.BoolNode{NodeType: parse.NodeBool, Pos: pos, True: literal},
			},
		}},
	}}
}

// circle reports a template that calls itself, directly or through others.
func (m *marker) circle() *Problem {
	calls := map[string]map[string]bool{}
	for _, e := range m.edges {
		calls[e.name] = e.calls
	}
	for _, e := range m.edges {
		seen := map[string]bool{}
		next := []string{e.name}
		for len(next) > 0 {
			name := next[0]
			next = next[1:]
			for called := range calls[name] {
				if called == e.name {
					return &Problem{Rule: RuleLimit, Text: fmt.Sprintf("the template %q calls itself", e.name), Fix: "a loop over a list"}
				}
				if !seen[called] {
					seen[called] = true
					next = append(next, called)
				}
			}
		}
	}
	return nil
}

// textProblem makes a problem of an error of text/template, whose text begins with
// the line, and with the column in octets from 0 if it is known.
func textProblem(err error) error {
	var ours Problem
	known := errors.As(err, &ours)
	p := Problem{Rule: RuleSyntax, Text: err.Error()}
	at := regexp.MustCompile(`^template: ` + inside + `:(\d+):(?:(\d+):)? `).FindStringSubmatch(p.Text)
	if at != nil {
		p.Text = strings.TrimPrefix(p.Text[len(at[0]):], `executing "`+inside+`" `)
		p.Line, _ = strconv.Atoi(at[1])
		if column, err := strconv.Atoi(at[2]); err == nil {
			p.Column = column + 1
		}
	}
	switch {
	case !known:
		return p
	case ours.Line == 0:
		ours.Line, ours.Column = p.Line, p.Column
	}
	return ours
}
