package blade

// A loop is $loop in one round of a @foreach.
type loop struct {
	index, count, depth int64
	parent              *loop // nil outside of another loop
}

func (l *loop) property(name string) (value, bool) {
	switch name {
	case "index":
		return l.index, true
	case "iteration":
		return l.index + 1, true
	case "count":
		return l.count, true
	case "remaining":
		return l.count - l.index - 1, true
	case "first":
		return l.index == 0, true
	case "last":
		return l.index == l.count-1, true
	case "odd":
		return l.index%2 == 0, true
	case "even":
		return l.index%2 == 1, true
	case "depth":
		return l.depth, true
	case "parent":
		return l.parent.value(), true
	}
	return nil, false
}

func (l *loop) method(string) (func([]value) (value, error), bool) { return nil, false }

// value is $loop, which is null outside of a loop.
func (l *loop) value() value {
	if l == nil {
		return nil
	}
	return l
}

func (n *loopNode) run(m *machine) error {
	v, err := m.eval(n.over)
	if err != nil {
		return err
	}
	over, ok := v.(*array)
	if !ok {
		return m.src.errorf(n.over.place(), "%s is not a list to go over", typeName(v))
	}
	if err := m.rounds(n, over); err != nil || over.count() > 0 {
		return err
	}
	return m.run(n.otherwise)
}

// rounds runs the body of a loop for each entry. Its variables stay after it.
func (m *machine) rounds(n *loopNode, over *array) error {
	if n.counted {
		outer := m.loop
		depth := int64(1)
		if outer != nil {
			depth += outer.depth
		}
		defer func() {
			m.loop = outer
			m.vars["loop"] = outer.value()
		}()
		m.loop = &loop{index: -1, count: int64(over.count()), depth: depth, parent: outer}
	}
	for _, e := range over.entries {
		if n.counted {
			next := *m.loop
			next.index++
			m.loop = &next
			m.vars["loop"] = m.loop
		}
		switch err := m.round(n, e); err {
		case nil, errContinue:
		case errBreak:
			return nil
		default:
			return err
		}
	}
	return nil
}

func (m *machine) round(n *loopNode, e entry) error {
	if err := m.count(n.place()); err != nil {
		return err
	}
	if err := m.match(n.value, e.value); err != nil {
		return err
	}
	if n.key != nil {
		m.vars[n.key.name] = e.key.value()
	}
	return m.run(n.body)
}

// match puts a value, or its parts, into variables.
func (m *machine) match(p pattern, v value) error {
	if p.parts == nil {
		m.vars[p.name] = v
		return nil
	}
	a, ok := v.(*array)
	if !ok {
		return m.src.errorf(p.place(), "%s has no parts", typeName(v))
	}
	for _, part := range p.parts {
		k, err := toKey(part.key)
		if err != nil {
			return err
		}
		inner, ok := a.at(k)
		if !ok {
			return m.src.errorf(part.place.place(), "there is no entry %s", k)
		}
		if err := m.match(part.place, inner); err != nil {
			return err
		}
	}
	return nil
}
