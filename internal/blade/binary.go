package blade

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

func (x *binary) eval(m *machine) (value, error) {
	a, err := m.eval(x.x)
	if err != nil {
		return nil, err
	}
	b, err := m.eval(x.y)
	if err != nil {
		return nil, err
	}
	v, err := m.operate(x.op, a, b)
	return v, m.wrap(x, err)
}

// operate applies an operator.
func (m *machine) operate(op string, a, b value) (value, error) {
	m.weigh(a, b)
	switch op {
	case ".":
		return m.concatenate(a, b)
	case "===":
		return m.identical(a, b)
	case "!==":
		same, err := m.identical(a, b)
		return !same, err
	case "==":
		return m.equal(a, b)
	case "!=":
		same, err := m.equal(a, b)
		return !same, err
	case "xor":
		return truth(a) != truth(b), nil
	case "<", "<=", ">", ">=", "<=>":
		return m.compare(op, a, b)
	case "+":
		if x, ok := a.(*array); ok {
			return m.union(x, b)
		}
	}
	return arithmetic(op, a, b)
}

func (m *machine) concatenate(a, b value) (value, error) {
	x, err := toText(a)
	if err != nil {
		return nil, err
	}
	y, err := toText(b)
	if err != nil {
		return nil, err
	}
	return m.made(x + y)
}

// compare is < and the like. Of two values without an order none is smaller.
func (m *machine) compare(op string, a, b value) (value, error) {
	if op == ">" || op == ">=" {
		a, b = b, a
	}
	order, err := m.order(a, b)
	switch {
	case err != nil:
		return nil, err
	case op == "<=>" && order == unordered:
		return int64(1), nil
	case op == "<=>":
		return int64(order), nil
	case op == "<" || op == ">":
		return order < 0, nil
	}
	return order <= 0, nil
}

// union is array + array: what the first does not have comes from the second.
func (m *machine) union(x *array, b value) (value, error) {
	y, ok := b.(*array)
	if !ok {
		return nil, fmt.Errorf("an array and %s are not added", typeName(b))
	}
	out := x.clone()
	for _, e := range y.entries {
		if _, ok := out.at(e.key); !ok {
			out.set(e.key, e.value)
		}
	}
	return m.made(out)
}

// arithmetic computes with numbers. An int that overflows becomes a float.
func arithmetic(op string, a, b value) (value, error) {
	x, err := number(a)
	if err != nil {
		return nil, err
	}
	y, err := number(b)
	if err != nil {
		return nil, err
	}
	i, isInt := x.(int64)
	j, alsoInt := y.(int64)
	switch {
	case op == "%", op == "&", op == "|":
		return intArithmetic(op, x, y)
	case isInt && alsoInt:
		if v, ok := exact(op, i, j); ok {
			return v, nil
		}
	}
	f, _ := toFloat(x)
	g, _ := toFloat(y)
	switch op {
	case "+":
		return f + g, nil
	case "-":
		return f - g, nil
	case "*":
		return f * g, nil
	case "**":
		return math.Pow(f, g), nil
	}
	if g == 0 {
		return nil, errors.New("a number is divided by zero")
	}
	return f / g, nil
}

// exact computes with ints; ok is false if the result is none.
func exact(op string, i, j int64) (v int64, ok bool) {
	switch op {
	case "+":
		v = i + j
		return v, (v > i) == (j > 0)
	case "-":
		v = i - j
		return v, (v < i) == (j > 0)
	case "*":
		return multiply(i, j)
	case "/":
		if j == 0 || i%j != 0 || i == math.MinInt64 && j == -1 {
			return 0, false
		}
		return i / j, true
	case "**":
		return power(i, j)
	}
	return 0, false
}

func multiply(i, j int64) (int64, bool) {
	if i == 0 || j == 0 {
		return 0, true
	}
	high, low := bits.Mul64(magnitude(i), magnitude(j))
	v := i * j
	negative := (i < 0) != (j < 0)
	return v, high == 0 && (low <= math.MaxInt64 || negative && low == 1<<63)
}

func magnitude(i int64) uint64 {
	if i < 0 {
		return -uint64(i)
	}
	return uint64(i)
}

// power is i to the j, if that is an int.
func power(i, j int64) (int64, bool) {
	if j < 0 {
		return 0, false
	}
	out, ok := int64(1), true
	for ; j > 0; j >>= 1 {
		if j&1 == 1 {
			if out, ok = multiply(out, i); !ok {
				return 0, false
			}
		}
		if j > 1 {
			if i, ok = multiply(i, i); !ok {
				return 0, false
			}
		}
	}
	return out, true
}

// intArithmetic computes with what is cut to ints.
func intArithmetic(op string, x, y value) (value, error) {
	i, err := toInt(x)
	if err != nil {
		return nil, err
	}
	j, err := toInt(y)
	switch {
	case err != nil:
		return nil, err
	case op == "&":
		return i & j, nil
	case op == "|":
		return i | j, nil
	case j == 0:
		return nil, errors.New("a number is divided by zero")
	case j == -1:
		return int64(0), nil
	}
	return i % j, nil
}
