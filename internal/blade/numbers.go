package blade

import (
	"math"
	"net/netip"
)

func typeFunctions() map[string]function {
	is := func(name string) function {
		return function{1, 1, func(c *callee) value { return typeName(c.arg(0)) == name }}
	}
	return map[string]function{
		"is_array":    is("an array"),
		"is_string":   is("a string"),
		"is_bool":     is("a bool"),
		"is_null":     is("null"),
		"is_int":      is("an int"),
		"is_integer":  is("an int"),
		"is_float":    is("a float"),
		"is_numeric":  {1, 1, (*callee).isNumeric},
		"ctype_digit": {1, 1, (*callee).isDigits},
		"strval":      {1, 1, func(c *callee) value { return c.text(0) }},
		"boolval":     {1, 1, func(c *callee) value { return truth(c.arg(0)) }},
		"intval":      {1, 1, (*callee).intval},
		"floatval":    {1, 1, (*callee).floatval},
		"filter_var":  {2, 3, (*callee).filterVar},
	}
}

func (c *callee) isNumeric() value {
	s, ok := c.arg(0).(string)
	if !ok {
		return isNumber(c.arg(0))
	}
	_, ok = numeric(s)
	return ok
}

// isDigits takes a small int for the number of a character.
func (c *callee) isDigits() value {
	if n, ok := c.arg(0).(int64); ok {
		return n > 255 || '0' <= n && n <= '9'
	}
	s, ok := c.arg(0).(string)
	return ok && s != "" && span(s, "0123456789", len(s)) == len(s)
}

func (c *callee) intval() value {
	n, err := toInt(c.arg(0))
	c.refuse(0, err)
	return n
}

func (c *callee) floatval() value {
	f, err := toFloat(c.arg(0))
	c.refuse(0, err)
	return f
}

// What filter_var takes.
const (
	validateIP = 275
	flagIPv4   = 1 << 20
	flagIPv6   = 1 << 21
)

// filterVar tells addresses from other strings.
func (c *callee) filterVar() value {
	if c.int(1) != validateIP {
		return c.fail("only FILTER_VALIDATE_IP is supported")
	}
	s, flags := c.text(0), c.intOr(2, 0)
	if flags&^(flagIPv4|flagIPv6) != 0 {
		return c.fail("only FILTER_FLAG_IPV4 and FILTER_FLAG_IPV6 are supported")
	}
	ip, err := netip.ParseAddr(s)
	four, six := flags&flagIPv4 != 0, flags&flagIPv6 != 0
	if err != nil || ip.Zone() != "" || four && !six && !ip.Is4() || six && !four && !ip.Is6() {
		return false
	}
	return s
}

func numberFunctions() map[string]function {
	return map[string]function{
		"abs":    {1, 1, (*callee).abs},
		"floor":  {1, 1, func(c *callee) value { return math.Floor(c.float(0)) }},
		"ceil":   {1, 1, func(c *callee) value { return math.Ceil(c.float(0)) }},
		"round":  {1, 1, func(c *callee) value { return math.Round(c.float(0)) }},
		"intdiv": {2, 2, (*callee).intdiv},
		"min":    {1, many, func(c *callee) value { return c.extreme(-1) }},
		"max":    {1, many, func(c *callee) value { return c.extreme(1) }},
	}
}

// float is an argument that is a number.
func (c *callee) float(i int) float64 {
	n, err := number(c.arg(i))
	c.refuse(i, err)
	f, _ := toFloat(n)
	return f
}

func (c *callee) abs() value {
	n, err := number(c.arg(0))
	c.refuse(0, err)
	if order := orderNumbers(n, int64(0)); order >= 0 || err != nil {
		return n
	}
	n, err = arithmetic("*", n, int64(-1))
	c.refuse(0, err)
	return n
}

func (c *callee) intdiv() value {
	i, j := c.int(0), c.int(1)
	switch {
	case j == 0:
		return c.fail("a number is divided by zero")
	case i == math.MinInt && j == -1:
		return c.fail("the result is no int")
	}
	return int64(i / j)
}

// extreme is the smallest or largest of the arguments, or of the values of the
// only one.
func (c *callee) extreme(sign int) value {
	values := c.args
	if len(values) == 1 {
		values = c.array(0).values()
	}
	if len(values) == 0 {
		return c.fail("there is no value")
	}
	out := values[0]
	for _, v := range values[1:] {
		order, err := c.m.order(v, out)
		c.refuse(0, err)
		if order == sign {
			out = v
		}
	}
	return out
}
