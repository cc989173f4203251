package blade

import "fmt"

func (x *assignment) eval(m *machine) (value, error) {
	if x.op == "??" {
		v, err := m.quiet(x.target)
		if err != nil || v != nil {
			return v, err
		}
		return m.put(x.target, x.x)
	}
	if x.op == "" {
		return m.put(x.target, x.x)
	}
	old, err := m.eval(x.target)
	if err != nil {
		return nil, err
	}
	by, err := m.eval(x.x)
	if err != nil {
		return nil, err
	}
	v, err := m.operate(x.op, old, by)
	if err != nil {
		return nil, m.wrap(x, err)
	}
	return v, m.store(x.target, v)
}

// put evaluates an expression and stores its value.
func (m *machine) put(target, x expr) (value, error) {
	v, err := m.eval(x)
	if err != nil {
		return nil, err
	}
	return v, m.store(target, v)
}

// store puts a value into a variable, or into an entry of an array in one: then
// it stores a changed copy of the array.
func (m *machine) store(target expr, v value) error {
	x, ok := target.(*element)
	if !ok {
		name := target.(*variable).name
		if name == "this" {
			return m.src.errorf(target.place(), "$this is not a variable")
		}
		m.vars[name] = v
		return nil
	}
	base, err := m.quietBase(x.base)
	if err != nil {
		return err
	}
	k := key{n: base.next}
	if x.key != nil {
		id, err := m.eval(x.key)
		if err != nil {
			return err
		}
		if k, err = toKey(id); err != nil {
			return m.wrap(x, err)
		}
	}
	changed := base.clone()
	changed.set(k, v)
	if _, err := m.made(changed); err != nil {
		return m.wrap(x, err)
	}
	return m.store(x.base, changed)
}

// quietBase is the array that an entry goes into: a new one if there is none.
func (m *machine) quietBase(x expr) (*array, error) {
	if e, ok := x.(*element); ok && e.key == nil {
		return list(), nil
	}
	v, err := m.quiet(x)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return list(), nil
	case *array:
		return v, nil
	}
	return nil, m.src.errorf(x.place(), "%s takes no entries", typeName(v))
}

func (x *increment) eval(m *machine) (value, error) {
	old, err := m.eval(x.target)
	if err != nil {
		return nil, err
	}
	if !isNumber(old) && old != nil {
		return nil, m.src.errorf(x.place(), "%s is not counted; write + 1", typeName(old))
	}
	v, err := arithmetic("+", old, x.by)
	if err != nil {
		return nil, m.wrap(x, err)
	}
	if old == nil && x.by < 0 {
		v = nil // as PHP has it
	}
	if err := m.store(x.target, v); err != nil || x.before {
		return v, err
	}
	return old, nil
}

// A closure is an arrow function with the variables it was made among.
type closure struct {
	arrow *arrow
	vars  map[string]value
}

func (x *arrow) eval(m *machine) (value, error) {
	vars := make(map[string]value, len(m.vars))
	for name, v := range m.vars {
		vars[name] = v
	}
	m.steps += len(vars)
	return &closure{x, vars}, nil
}

// apply calls what array_map and the like were given.
func (m *machine) apply(fn value, args []value) (value, error) {
	m.steps++
	switch fn := fn.(type) {
	case string:
		f, ok := m.names[lower(fn)]
		if !ok || len(args) < f.min || len(args) > f.max {
			return nil, fmt.Errorf("%s is not a function that a template may call with %d arguments", quoted(fn), len(args))
		}
		return m.call(fn, f, args)
	case *closure:
		return m.enter(fn, args)
	}
	return nil, fmt.Errorf("%s is no function; write fn($x) => …", typeName(fn))
}

// enter evaluates a closure with variables of its own.
func (m *machine) enter(fn *closure, args []value) (value, error) {
	if len(args) < len(fn.arrow.params) {
		return nil, m.src.errorf(fn.arrow.place(), "a function of %d variables is given %d", len(fn.arrow.params), len(args))
	}
	if m.calls == MaxNesting {
		return nil, m.src.limitf(fn.arrow.place(), "functions call functions more than %d levels deep", MaxNesting)
	}
	m.calls++
	outer := m.vars
	defer func() { m.vars, m.calls = outer, m.calls-1 }()
	m.vars = make(map[string]value, len(fn.vars)+len(args))
	for name, v := range fn.vars {
		m.vars[name] = v
	}
	m.steps += len(fn.vars)
	for i, name := range fn.arrow.params {
		m.vars[name] = args[i]
	}
	return m.eval(fn.arrow.body)
}
