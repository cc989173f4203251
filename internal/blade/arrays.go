package blade

import "slices"

func arrayFunctions() map[string]function {
	return map[string]function{
		"count":            {1, 1, func(c *callee) value { return int64(c.array(0).count()) }},
		"sizeof":           {1, 1, func(c *callee) value { return int64(c.array(0).count()) }},
		"in_array":         {2, 3, func(c *callee) value { _, ok := c.search(); return ok }},
		"array_search":     {2, 3, (*callee).arraySearch},
		"array_key_exists": {2, 2, (*callee).keyExists},
		"array_keys":       {1, 1, (*callee).keys},
		"array_values":     {1, 1, func(c *callee) value { return list(c.array(0).values()...) }},
		"array_key_first":  {1, 1, func(c *callee) value { return c.end(0).key }},
		"array_key_last":   {1, 1, func(c *callee) value { return c.end(-1).key }},
		"reset":            {1, 1, func(c *callee) value { return c.end(0).value }},
		"end":              {1, 1, func(c *callee) value { return c.end(-1).value }},
		"array_map":        {2, 3, (*callee).arrayMap},
		"array_filter":     {1, 2, (*callee).filter},
		"array_sum":        {1, 1, (*callee).sum},
	}
}

// found is an entry at an end of an array: the key null and the value false if it
// is empty.
type found struct{ key, value value }

func (c *callee) end(at int) found {
	entries := c.array(0).entries
	if len(entries) == 0 {
		return found{nil, false}
	}
	e := entries[(at+len(entries))%len(entries)]
	return found{e.key.value(), e.value}
}

// search looks for the first argument among the values of the second: with ==, or
// with === if the third is true.
func (c *callee) search() (entry, bool) {
	strict := c.bool(2)
	for _, e := range c.array(1).entries {
		c.m.steps++
		same, err := c.m.identical(c.arg(0), e.value)
		if !strict {
			same, err = c.m.equal(c.arg(0), e.value)
		}
		c.refuse(0, err)
		if same {
			return e, true
		}
	}
	return entry{}, false
}

func (c *callee) arraySearch() value {
	if e, ok := c.search(); ok {
		return e.key.value()
	}
	return false
}

func (c *callee) keyExists() value {
	k, err := toKey(c.arg(0))
	c.refuse(0, err)
	_, ok := c.array(1).at(k)
	return ok
}

func (c *callee) keys() value {
	out := list()
	for _, e := range c.array(0).entries {
		out.append(e.key.value())
	}
	return out
}

// arrayMap applies a function to the values of one array, whose keys stay, or of
// two.
func (c *callee) arrayMap() value {
	first := c.array(1)
	out := list()
	if c.has(2) {
		second := c.array(2)
		for i := range max(first.count(), second.count()) {
			out.append(c.apply(nth(first, i), nth(second, i)))
		}
		return out
	}
	for _, e := range first.entries {
		out.set(e.key, c.apply(e.value))
	}
	return out
}

// nth is a value by its position, null behind the last.
func nth(a *array, i int) value {
	if i >= a.count() {
		return nil
	}
	return a.entries[i].value
}

// apply calls the function that the first argument is, and nothing any more once
// that has failed.
func (c *callee) apply(args ...value) value {
	return c.applyTo(0, args...)
}

func (c *callee) applyTo(at int, args ...value) value {
	if c.err != nil {
		return nil
	}
	v, err := c.m.apply(c.arg(at), args)
	c.refuse(at, err)
	return v
}

// filter keeps the entries whose value is true, or for whose value the function
// is.
func (c *callee) filter() value {
	out := list()
	for _, e := range c.array(0).entries {
		keep := e.value
		if c.has(1) {
			keep = c.applyTo(1, e.value)
		}
		if truth(keep) {
			out.set(e.key, e.value)
		}
	}
	return out
}

func (c *callee) sum() value {
	var total value = int64(0)
	for _, e := range c.array(0).entries {
		var err error
		if total, err = arithmetic("+", total, e.value); err != nil {
			c.refuse(0, err)
			return nil
		}
	}
	return total
}

func listFunctions() map[string]function {
	return map[string]function{
		"array_merge":     {0, many, (*callee).merge},
		"array_unique":    {1, 1, (*callee).unique},
		"array_reverse":   {1, 2, (*callee).reverse},
		"array_slice":     {2, 4, (*callee).slice},
		"array_flip":      {1, 1, (*callee).flip},
		"array_combine":   {2, 2, (*callee).combine},
		"array_diff":      {2, 2, func(c *callee) value { return c.compare(false) }},
		"array_intersect": {2, 2, func(c *callee) value { return c.compare(true) }},
		"range":           {2, 3, (*callee).rangeOf},
	}
}

// put adds an entry as merging and slicing do: a string stays its key, a number is
// counted anew.
func put(out *array, e entry) {
	if e.key.named {
		out.set(e.key, e.value)
		return
	}
	out.append(e.value)
}

func (c *callee) merge() value {
	out := list()
	for i := range c.args {
		for _, e := range c.array(i).entries {
			put(out, e)
		}
		if !c.spend(0, out.count()) {
			return nil
		}
	}
	return out
}

// unique keeps the first of values that are the same as strings.
func (c *callee) unique() value {
	a := c.array(0)
	seen := map[string]bool{}
	out := list()
	for i, s := range c.texts(0) {
		if !seen[s] {
			seen[s] = true
			out.set(a.entries[i].key, a.entries[i].value)
		}
	}
	return out
}

func (c *callee) reverse() value {
	out := list()
	for _, e := range slices.Backward(c.array(0).entries) {
		if c.bool(1) {
			out.set(e.key, e.value)
			continue
		}
		put(out, e)
	}
	return out
}

func (c *callee) slice() value {
	entries := c.array(0).entries
	from, to := c.span(len(entries), max(c.int(1), -len(entries)), c.arg(2), 2)
	out := list()
	for _, e := range entries[from:to] {
		if c.bool(3) {
			out.set(e.key, e.value)
			continue
		}
		put(out, e)
	}
	return out
}

func (c *callee) flip() value {
	out := list()
	for _, e := range c.array(0).entries {
		switch e.value.(type) {
		case int64, string:
		default:
			return c.fail("%s is no key", typeName(e.value))
		}
		k, err := toKey(e.value)
		c.refuse(0, err)
		out.set(k, e.key.value())
	}
	return out
}

func (c *callee) combine() value {
	names, values := c.array(0), c.array(1)
	if names.count() != values.count() {
		return c.fail("%d keys and %d values", names.count(), values.count())
	}
	out := list()
	for i, s := range c.texts(0) {
		k, err := toKey(s)
		c.refuse(0, err)
		out.set(k, values.entries[i].value)
	}
	return out
}

// compare keeps the entries of the first array whose value is, or is not, among
// the values of the second.
func (c *callee) compare(among bool) value {
	a := c.array(0)
	other := map[string]bool{}
	for _, s := range c.texts(1) {
		other[s] = true
	}
	out := list()
	for i, s := range c.texts(0) {
		if other[s] == among {
			out.set(a.entries[i].key, a.entries[i].value)
		}
	}
	return out
}

// rangeOf counts from one int to another, up or down.
func (c *callee) rangeOf() value {
	from, to, step := c.whole(0), c.whole(1), 1
	if c.has(2) {
		step = c.whole(2)
	}
	step = max(step, -step)
	distance := max(from, to) - min(from, to)
	switch {
	case step <= 0 || distance < 0 || step > distance && distance > 0:
		return c.fail("%s is no step from %d to %d", itoa(int64(step)), from, to)
	case !c.spend(0, distance/step+1):
		return nil
	}
	out := list()
	for n := 0; n <= distance; n += step {
		if from > to {
			out.append(int64(from - n))
			continue
		}
		out.append(int64(from + n))
	}
	return out
}
