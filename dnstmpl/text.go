package dnstmpl

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
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
	m := marker{text: text, lines: newSource(text), calls: map[string][]call{}}
	for _, part := range t.Templates() {
		m.within = part.Name()
		m.list(part.Root)
	}
	m.circles()
	if len(m.problems) > 0 {
		slices.SortFunc(m.problems, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
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
	text     string
	lines    sourceText
	within   string            // the template that is being marked
	calls    map[string][]call // of templates, by the template that calls
	problems Problems
}

// A call of a template stands at a place.
type call struct {
	name string
	at   place
}

// place is where a node stands: text where it begins, anything else with its braces.
func (m *marker) place(n parse.Node) place {
	pos := min(int(n.Position()), len(m.text))
	if n.Type() != parse.NodeText {
		pos = max(strings.LastIndex(m.text[:pos], "{{"), 0)
	}
	return m.lines.place(pos)
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
		marked = append(marked, stepCall(m.place(n), cost, literal), n)
	}
	if len(marked) == 0 {
		marked = append(marked, stepCall(m.place(l), 1, false))
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
		m.calls[m.within] = append(m.calls[m.within], call{n.Name, m.place(n)})
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
	case *parse.FieldNode:
		return fieldCost(n.Ident)
	case *parse.VariableNode:
		return fieldCost(n.Ident)
	case *parse.ChainNode:
		return fieldCost(n.Field) + m.argument(n.Node)
	case *parse.IdentifierNode:
		if !slices.Contains(functionNames(), n.Ident) {
			at := m.lines.place(int(n.Pos))
			m.problems = append(m.problems, Problem{
				Line: at.line, Column: at.column, Rule: RuleSyntax,
				Text: fmt.Sprintf("the function %q is not one that templates have", n.Ident),
				Fix:  "one of " + strings.Join(functionNames(), " "),
			})
		}
	}
	return 1
}

// fieldCost is the number of steps that fields take. Methods of Data go through all
// of its lists.
func fieldCost(names []string) int {
	cost := 1
	for _, name := range names {
		if _, ok := reflect.TypeFor[Data]().MethodByName(name); ok {
			cost += 500
		}
	}
	return cost
}

// stepCall is a call of step.
func stepCall(at place, cost int, literal bool) parse.Node {
	number := func(n int) parse.Node {
		return &parse.NumberNode{NodeType: parse.NodeNumber, IsInt: true, Int64: int64(n), Text: strconv.Itoa(n)}
	}
	return &parse.ActionNode{NodeType: parse.NodeAction, Line: at.line, Pipe: &parse.PipeNode{
		NodeType: parse.NodePipe, Line: at.line, Cmds: []*parse.CommandNode{{
			NodeType: parse.NodeCommand, Args: []parse.Node{
				parse.NewIdentifier(stepFunc), number(at.line), number(at.column), number(cost),
				&parse.BoolNode{NodeType: parse.NodeBool, True: literal},
			},
		}},
	}}
}

// circles reports templates that call themselves, directly or through others: the
// calls that close a circle.
func (m *marker) circles() {
	const entered, left = 1, 2
	state := map[string]int{}
	var enter func(name string)
	enter = func(name string) {
		state[name] = entered
		for _, c := range m.calls[name] {
			switch state[c.name] {
			case entered:
				m.problems = append(m.problems, Problem{
					Line: c.at.line, Column: c.at.column, Rule: RuleLimit,
					Text: fmt.Sprintf("the template %q calls itself", c.name), Fix: "a loop over a list",
				})
			case left:
			default:
				enter(c.name)
			}
		}
		state[name] = left
	}
	for _, name := range slices.Sorted(maps.Keys(m.calls)) {
		if state[name] == 0 {
			enter(name)
		}
	}
}

// What the errors of text/template begin with.
var (
	whereabouts = regexp.MustCompile(`^template: ` + inside + `:(\d+):(?:(\d+):)? `)
	executing   = regexp.MustCompile(`^executing "[^"]*" `)
)

// textProblem makes a problem of an error of text/template, whose text begins with
// the line, and with the column in octets from 0 if it is known.
func textProblem(err error) error {
	var ours Problem
	known := errors.As(err, &ours)
	p := Problem{Rule: RuleSyntax, Text: err.Error()}
	at := whereabouts.FindStringSubmatch(p.Text)
	if at != nil {
		p.Text = executing.ReplaceAllString(p.Text[len(at[0]):], "")
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
