package blade

import (
	"cmp"
	"fmt"
	"strings"
)

// identical is ===: the same type and value.
func (m *machine) identical(a, b value) (bool, error) {
	x, ok := a.(*array)
	y, also := b.(*array)
	if !ok || !also {
		return !ok && !also && a == b, nil
	}
	if x.count() != y.count() {
		return false, nil
	}
	if err := m.spend(x.count()); err != nil {
		return false, err
	}
	for i, e := range x.entries {
		if e.key != y.entries[i].key {
			return false, nil
		}
		if same, err := m.identical(e.value, y.entries[i].value); !same {
			return false, err
		}
	}
	return true, nil
}

// spend counts steps of a comparison, which would not be right if it went on over
// their limit.
func (m *machine) spend(steps int) error {
	if m.steps += steps; m.steps > MaxSteps {
		return over(tooManySteps, MaxSteps)
	}
	return nil
}

// equal is ==: the same after the conversions of PHP 8.
func (m *machine) equal(a, b value) (bool, error) {
	if x, ok := a.(*array); ok {
		if y, ok := b.(*array); ok {
			return m.equalArrays(x, y)
		}
	}
	order, err := m.order(a, b)
	return err == nil && order == 0, err
}

// equalArrays reports whether arrays have the same keys with equal values, in
// any order.
func (m *machine) equalArrays(x, y *array) (bool, error) {
	if x.count() != y.count() {
		return false, nil
	}
	if err := m.spend(x.count()); err != nil {
		return false, err
	}
	for _, e := range x.entries {
		v, ok := y.at(e.key)
		if !ok {
			return false, nil
		}
		if same, err := m.equal(e.value, v); !same {
			return false, err
		}
	}
	return true, nil
}

// unordered is what [machine.order] gives for values of which neither is
// smaller and which are not equal.
const unordered = 2

// order is <=>: negative, zero, positive, or unordered.
func (m *machine) order(a, b value) (int, error) {
	_, aBool := a.(bool)
	_, bBool := b.(bool)
	x, aText := a.(string)
	y, bText := b.(string)
	if err := m.spend((len(x) + len(y)) / 64); err != nil {
		return 0, err
	}
	switch {
	case aText && bText:
		return orderStrings(x, y), nil
	case a == nil && bText:
		return cmp.Compare(0, len(y)), nil
	case aText && b == nil:
		return cmp.Compare(len(x), 0), nil
	case aBool || bBool || a == nil || b == nil:
		return orderBools(truth(a), truth(b)), nil
	}
	_, aArray := a.(*array)
	_, bArray := b.(*array)
	switch {
	case aArray && bArray:
		return m.orderArrays(a.(*array), b.(*array))
	case aArray:
		return 1, nil
	case bArray:
		return -1, nil
	case aText && isNumber(b):
		return orderMixed(x, b), nil
	case bText && isNumber(a):
		return negate(orderMixed(y, a)), nil
	case isNumber(a) && isNumber(b):
		return orderNumbers(a, b), nil
	}
	return 0, fmt.Errorf("%s is not compared with %s", typeName(a), typeName(b))
}

func isNumber(v value) bool {
	switch v.(type) {
	case int64, float64:
		return true
	}
	return false
}

func negate(order int) int {
	if order == unordered {
		return order
	}
	return -order
}

func orderBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// orderStrings compares as numbers what are two numbers.
func orderStrings(x, y string) int {
	a, ok := numeric(x)
	b, also := numeric(y)
	if ok && also {
		return orderNumbers(a, b)
	}
	return strings.Compare(x, y)
}

// orderMixed compares a string with a number: as numbers if it is one, else as
// strings.
func orderMixed(x string, b value) int {
	if a, ok := numeric(x); ok {
		return orderNumbers(a, b)
	}
	y, _ := toText(b)
	return strings.Compare(x, y)
}

func orderNumbers(a, b value) int {
	x, isInt := a.(int64)
	y, alsoInt := b.(int64)
	if isInt && alsoInt {
		return cmp.Compare(x, y)
	}
	f, _ := toFloat(a)
	g, _ := toFloat(b)
	switch {
	case f < g:
		return -1
	case f > g:
		return 1
	case f == g:
		return 0
	}
	return unordered
}

// orderArrays compares the number of entries, then the values under each key of
// the first.
func (m *machine) orderArrays(x, y *array) (int, error) {
	if x.count() != y.count() {
		return cmp.Compare(x.count(), y.count()), nil
	}
	if err := m.spend(x.count()); err != nil {
		return 0, err
	}
	for _, e := range x.entries {
		v, ok := y.at(e.key)
		if !ok {
			return unordered, nil
		}
		if order, err := m.order(e.value, v); order != 0 || err != nil {
			return order, err
		}
	}
	return 0, nil
}
