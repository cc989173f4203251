package blade

import (
	"errors"
	"fmt"
)

const tooManySteps = "the template takes more than %d steps"

// A machine renders a template once.
type machine struct {
	src   *source
	vars  map[string]value
	steps int
	calls int // of arrow functions, inside one another
	write func(Written) error
	loop  *loop               // the innermost @foreach
	names map[string]function // that may be called by name
}

// eval evaluates an expression and counts it.
func (m *machine) eval(x expr) (value, error) {
	if m.steps++; m.steps > MaxSteps {
		return nil, m.src.limitf(x.place(), tooManySteps, MaxSteps)
	}
	return x.eval(m)
}

// wrap gives an error the place of the expression that has it.
func (m *machine) wrap(x expr, err error) error {
	var placed *Error
	if err == nil || errors.As(err, &placed) {
		return err
	}
	return m.src.errorf(x.place(), "%w", err)
}

// made counts a value by its size and refuses one that is too large.
func (m *machine) made(v value) (value, error) {
	switch v := v.(type) {
	case string:
		if len(v) > MaxString {
			return nil, over("a string has more than %d octets", MaxString)
		}
		m.steps += len(v) / 64
	case *array:
		m.steps += len(v.entries) / 4
		return v, v.check()
	}
	return v, nil
}

// weigh counts values that are about to be read: strings by their size.
func (m *machine) weigh(values ...value) {
	for _, v := range values {
		if s, ok := v.(string); ok {
			m.steps += len(s) / 64
		}
	}
}

// text evaluates an expression as a string.
func (m *machine) text(x expr) (string, error) {
	v, err := m.eval(x)
	if err != nil {
		return "", err
	}
	s, err := toText(v)
	return s, m.wrap(x, err)
}

// condition evaluates an expression as a condition.
func (m *machine) condition(x expr) (bool, error) {
	v, err := m.eval(x)
	return err == nil && truth(v), err
}

func (x *literal) eval(*machine) (value, error) { return x.value, nil }

func (x *filled) eval(m *machine) (value, error) {
	var all []byte
	for _, part := range x.parts {
		s, err := m.text(part)
		if err != nil {
			return nil, err
		}
		if all = append(all, s...); len(all) > MaxString {
			break
		}
	}
	v, err := m.made(string(all))
	return v, m.wrap(x, err)
}

func (x *variable) eval(m *machine) (value, error) {
	v, ok := m.vars[x.name]
	if !ok {
		return nil, m.src.errorf(x.place(), "there is no variable $%s", x.name)
	}
	return v, nil
}

func (x *element) eval(m *machine) (value, error) {
	base, err := m.eval(x.base)
	if err != nil {
		return nil, err
	}
	k, err := m.eval(x.key)
	if err != nil {
		return nil, err
	}
	v, ok, err := entryOf(base, k)
	switch {
	case err != nil:
		return nil, m.wrap(x, err)
	case !ok:
		return nil, m.src.errorf(x.place(), "there is no entry %s", shown(k))
	}
	return v, nil
}

// shown is a key as messages show it.
func shown(v value) string {
	k, err := toKey(v)
	if err != nil {
		return typeName(v)
	}
	return k.String()
}

// entryOf is an entry of an array or an octet of a string.
func entryOf(base, k value) (value, bool, error) {
	switch base := base.(type) {
	case *array:
		id, err := toKey(k)
		if err != nil {
			return nil, false, err
		}
		v, ok := base.at(id)
		return v, ok, nil
	case string:
		return octetOf(base, k)
	}
	return nil, false, fmt.Errorf("%s has no entries", typeName(base))
}

// octetOf is an octet of a string; a negative position counts from the end.
func octetOf(s string, position value) (value, bool, error) {
	if digits, ok := position.(string); ok {
		position, _ = numeric(digits)
	}
	at, ok := position.(int64)
	if !ok {
		return nil, false, errors.New("a position in a string is an int")
	}
	if at < 0 {
		at += int64(len(s))
	}
	if at < 0 || at >= int64(len(s)) {
		return nil, false, nil
	}
	return s[at : at+1], true, nil
}

func (x *property) eval(m *machine) (value, error) {
	base, err := m.eval(x.base)
	if err != nil {
		return nil, err
	}
	o, ok := base.(object)
	if !ok {
		return nil, m.src.errorf(x.place(), "%s has no property %s", typeName(base), x.name)
	}
	v, ok := o.property(x.name)
	if !ok {
		return nil, m.src.errorf(x.place(), "there is no property %s", x.name)
	}
	return v, nil
}

func (x *methodCall) eval(m *machine) (value, error) {
	base, err := m.eval(x.base)
	if err != nil {
		return nil, err
	}
	args, err := m.all(x.args)
	if err != nil {
		return nil, err
	}
	o, ok := base.(object)
	if !ok {
		return nil, m.src.errorf(x.place(), "%s has no method %s()", typeName(base), x.name)
	}
	fn, ok := o.method(x.name)
	if !ok {
		return nil, m.src.errorf(x.place(), "there is no method %s()", x.name)
	}
	v, err := fn(args)
	return v, m.wrap(x, err)
}

// all evaluates arguments.
func (m *machine) all(args []expr) ([]value, error) {
	out := make([]value, len(args))
	for i, x := range args {
		v, err := m.eval(x)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (x *call) eval(m *machine) (value, error) {
	args, err := m.all(x.args)
	if err != nil {
		return nil, err
	}
	v, err := m.call(x.name, x.fn, args)
	return v, m.wrap(x, err)
}

func (x *arrayLiteral) eval(m *machine) (value, error) {
	a := list()
	for _, i := range x.items {
		var k value
		var err error
		if i.key != nil {
			if k, err = m.eval(i.key); err != nil {
				return nil, err
			}
		}
		v, err := m.eval(i.value)
		if err != nil {
			return nil, err
		}
		if i.key == nil {
			a.append(v)
			continue
		}
		id, err := toKey(k)
		if err != nil {
			return nil, m.wrap(i.key, err)
		}
		a.set(id, v)
	}
	v, err := m.made(a)
	return v, m.wrap(x, err)
}

func (x *cast) eval(m *machine) (value, error) {
	v, err := m.eval(x.x)
	if err != nil {
		return nil, err
	}
	m.weigh(v)
	switch x.to {
	case "string":
		v, err = toText(v)
	case "int":
		v, err = toInt(v)
	case "float":
		v, err = toFloat(v)
	case "bool":
		v = truth(v)
	case "array":
		if _, ok := v.(*array); !ok && v != nil {
			v = list(v)
		} else if v == nil {
			v = list()
		}
	}
	return v, m.wrap(x, err)
}

func (x *unary) eval(m *machine) (value, error) {
	v, err := m.eval(x.x)
	if err != nil {
		return nil, err
	}
	if x.op == "!" {
		return !truth(v), nil
	}
	m.weigh(v)
	factor := int64(1)
	if x.op == "-" {
		factor = -1
	}
	v, err = arithmetic("*", v, factor)
	return v, m.wrap(x, err)
}

func (x *logical) eval(m *machine) (value, error) {
	left, err := m.condition(x.x)
	if err != nil || left == (x.op == "||") {
		return left, err
	}
	return m.boolean(x.y)
}

// boolean evaluates an expression to a bool.
func (m *machine) boolean(x expr) (value, error) {
	b, err := m.condition(x)
	return b, err
}

func (x *ternary) eval(m *machine) (value, error) {
	v, err := m.eval(x.x)
	switch {
	case err != nil:
		return nil, err
	case !truth(v):
		return m.eval(x.z)
	case x.y == nil:
		return v, nil
	}
	return m.eval(x.y)
}

func (x *coalesce) eval(m *machine) (value, error) {
	v, err := m.quiet(x.x)
	if err != nil || v != nil {
		return v, err
	}
	return m.eval(x.y)
}

func (x *isset) eval(m *machine) (value, error) {
	for _, of := range x.of {
		v, err := m.quiet(of)
		if err != nil || v == nil {
			return false, err
		}
	}
	return true, nil
}

func (x *empty) eval(m *machine) (value, error) {
	v, err := m.quiet(x.of)
	return !truth(v), err
}

// quiet evaluates an expression for which a variable, an entry or a property
// that is not there is null.
func (m *machine) quiet(x expr) (value, error) {
	if m.steps++; m.steps > MaxSteps {
		return nil, m.src.limitf(x.place(), tooManySteps, MaxSteps)
	}
	switch x := x.(type) {
	case *variable:
		return m.vars[x.name], nil
	case *element:
		base, err := m.quiet(x.base)
		if err != nil {
			return nil, err
		}
		k, err := m.eval(x.key)
		if err != nil {
			return nil, err
		}
		v, _, err := entryOf(base, k)
		if _, ok := base.(*array); ok {
			return v, m.wrap(x, err)
		}
		return v, nil
	case *property:
		base, err := m.quiet(x.base)
		if o, ok := base.(object); ok && err == nil {
			v, _ := o.property(x.name)
			return v, nil
		}
		return nil, err
	}
	return x.eval(m)
}
