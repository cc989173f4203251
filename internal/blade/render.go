package blade

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Written is a piece of what a template writes, with the place in the template
// that it is from. The octets of a literal piece stand there; those of another
// are what an expression came to.
type Written struct {
	Text         string
	Line, Column int // from 1; the column in octets
	Literal      bool
}

// Render renders the template with variables, which are named without $. They may
// be nil, bool, int, string, []any, map[string]any, []string and [Object].
//
// It hands on what the template writes as it goes. The size of that is for write to
// bound: Render ends at its first error, and returns it. Other errors are of type
// [*Error].
func (t *Template) Render(vars map[string]any, write func(Written) error) error {
	m := &machine{src: t.src, vars: make(map[string]value, len(vars)), write: write, names: functions}
	for name, v := range vars {
		converted, err := fromGo(v)
		if err != nil {
			return fmt.Errorf("the variable $%s: %w", name, err)
		}
		m.vars[name] = converted
	}
	return m.run(t.body)
}

// An Object is a variable with methods, by their names.
type Object map[string]func(args []string) (string, error)

func (o Object) property(string) (value, bool) { return nil, false }

func (o Object) method(name string) (func([]value) (value, error), bool) {
	fn, ok := o[name]
	return func(args []value) (value, error) {
		out := make([]string, len(args))
		for i, v := range args {
			s, err := toText(v)
			if err != nil {
				return nil, err
			}
			out[i] = s
		}
		return fn(out)
	}, ok
}

// fromGo is a value of Go as templates see it.
func fromGo(v any) (value, error) {
	switch v := v.(type) {
	case nil, bool, string, Object:
		return v, nil
	case int:
		return int64(v), nil
	case []string:
		out := list()
		for _, s := range v {
			out.append(s)
		}
		return out, nil
	case []any:
		out := list()
		for _, inner := range v {
			converted, err := fromGo(inner)
			if err != nil {
				return nil, err
			}
			out.append(converted)
		}
		return out, nil
	case map[string]any:
		out := list()
		for _, name := range slices.Sorted(maps.Keys(v)) {
			converted, err := fromGo(v[name])
			if err != nil {
				return nil, err
			}
			out.set(key{name: name, named: true}, converted)
		}
		return out, nil
	}
	return nil, fmt.Errorf("a %T is not a value of templates", v)
}

// run runs nodes up to the first that leaves the loop around them.
func (m *machine) run(nodes []node) error {
	for _, n := range nodes {
		if err := n.run(m); err != nil {
			return err
		}
	}
	return nil
}

// emit writes text that is from an offset of the template.
func (m *machine) emit(offset int, text string, literal bool) error {
	if text == "" {
		return nil
	}
	line, column := m.src.position(offset)
	return m.write(Written{text, line, column, literal})
}

// count counts a step that is no expression.
func (m *machine) count(place int) error {
	if m.steps++; m.steps > MaxSteps {
		return m.src.limitf(place, tooManySteps, MaxSteps)
	}
	return nil
}

func (n *textNode) run(m *machine) error {
	if err := m.count(n.place()); err != nil {
		return err
	}
	return m.emit(n.place(), n.text, true)
}

func (n *echoNode) run(m *machine) error {
	s, err := m.text(n.x)
	if err != nil {
		return err
	}
	if n.escape {
		s = escape(s)
	}
	return m.emit(n.place(), s, false)
}

// escape is a string with the octets that mean something in HTML written as
// entities.
func escape(s string) string {
	return entities.Replace(strings.ToValidUTF8(s, "\uFFFD"))
}

// entities are those of PHP's htmlspecialchars. It is never changed.
var entities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;")

func (n *doNode) run(m *machine) error {
	_, err := m.eval(n.x)
	return err
}

func (n *ifNode) run(m *machine) error {
	for _, b := range n.branches {
		holds := b.cond == nil
		if !holds {
			var err error
			if holds, err = m.condition(b.cond); err != nil {
				return err
			}
		}
		if holds {
			return m.run(b.body)
		}
	}
	return nil
}

func (n *jumpNode) run(m *machine) error {
	if n.cond != nil {
		if holds, err := m.condition(n.cond); !holds {
			return err
		}
	}
	return n.err
}
