package blade

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A function is one that templates may call. It takes between min and max
// arguments.
type function struct {
	min, max int
	call     func(c *callee) value
}

// many is the max of a function that takes any number of arguments.
const many = math.MaxInt

// arity says how many arguments a function takes.
func (f function) arity() string {
	plural := "s"
	if f.max == 1 {
		plural = ""
	}
	switch {
	case f.min == f.max:
		return fmt.Sprintf("%d argument%s", f.min, plural)
	case f.max == many:
		return fmt.Sprintf("at least %d", f.min)
	}
	return fmt.Sprintf("%d to %d arguments", f.min, f.max)
}

// functions are all that templates may call, by their names in lower case. What
// they do is described in the manual of PHP; positions and lengths are octets.
var functions = merged(stringFunctions(), searchFunctions(), arrayFunctions(), listFunctions(), typeFunctions(), numberFunctions())

func merged(tables ...map[string]function) map[string]function {
	all := map[string]function{}
	for _, table := range tables {
		maps.Copy(all, table)
	}
	return all
}

// Functions are the names of the functions that templates may call, sorted.
func Functions() []string { return slices.Sorted(maps.Keys(functions)) }

// A callee is one call of a function. The methods that read an argument note the
// first that is not of its type, and give a zero value for it and the following.
type callee struct {
	m    *machine
	name string
	args []value
	err  error
}

// call calls a function with as many arguments as it takes.
func (m *machine) call(name string, fn function, args []value) (value, error) {
	m.weigh(args...)
	c := &callee{m: m, name: name, args: args}
	v := fn.call(c)
	if c.err != nil {
		return nil, c.err
	}
	return m.made(v)
}

// fail notes what is wrong with the call.
func (c *callee) fail(format string, args ...any) value {
	if c.err == nil {
		c.err = fmt.Errorf(c.name+"(): "+format, args...)
	}
	return nil
}

// refuse notes an error of an argument. One that has its place already is from
// inside of a function that was given, and stays as it is.
func (c *callee) refuse(i int, err error) {
	var placed *Error
	switch {
	case err == nil || c.err != nil:
	case errors.As(err, &placed):
		c.err = placed
	default:
		c.err = fmt.Errorf("%s(), argument %d: %w", c.name, i+1, err)
	}
}

func (c *callee) has(i int) bool { return i < len(c.args) }

// arg is an argument, or null.
func (c *callee) arg(i int) value {
	if !c.has(i) {
		return nil
	}
	return c.args[i]
}

// text is an argument as a string.
func (c *callee) text(i int) string {
	s, err := toText(c.arg(i))
	c.refuse(i, err)
	return s
}

// textOr is an argument as a string, or what stands for one left out.
func (c *callee) textOr(i int, otherwise string) string {
	if !c.has(i) {
		return otherwise
	}
	return c.text(i)
}

// int is an argument as an int; what is behind the dot of a number is cut off.
func (c *callee) int(i int) int {
	n, err := number(c.arg(i))
	c.refuse(i, err)
	v, err := toInt(n)
	c.refuse(i, err)
	return int(v)
}

// intOr is an argument as an int, or what stands for one left out.
func (c *callee) intOr(i, otherwise int) int {
	if !c.has(i) {
		return otherwise
	}
	return c.int(i)
}

// whole is an argument as an int; a number with something behind the dot is refused.
func (c *callee) whole(i int) int {
	n, err := number(c.arg(i))
	c.refuse(i, err)
	if f, ok := n.(float64); ok && f != math.Trunc(f) {
		s, _ := toText(f)
		c.refuse(i, fmt.Errorf("%s is no whole number", s))
	}
	return c.int(i)
}

// bool is an argument as a condition, false for one left out.
func (c *callee) bool(i int) bool {
	if _, ok := c.arg(i).(*array); ok {
		c.refuse(i, errors.New("an array is not a bool"))
	}
	return truth(c.arg(i))
}

// array is an argument that is one.
func (c *callee) array(i int) *array {
	a, ok := c.arg(i).(*array)
	if !ok {
		c.refuse(i, fmt.Errorf("%s is not an array", typeName(c.arg(i))))
		return list()
	}
	return a
}

// texts are the values of an array as strings.
func (c *callee) texts(i int) []string {
	a := c.array(i)
	out := make([]string, a.count())
	for n, e := range a.entries {
		s, err := toText(e.value)
		c.refuse(i, err)
		out[n] = s
	}
	c.m.steps += len(out) / 4
	return out
}

// spend refuses a string or an array that would be too large, before it is made.
func (c *callee) spend(octets, entries int) bool {
	switch {
	case octets < 0 || octets > MaxString:
		c.refuse(0, over("a string has more than %d octets", MaxString))
	case entries < 0 || entries > MaxEntries:
		c.refuse(0, over("an array has more than %d entries", MaxEntries))
	}
	return c.err == nil
}

// stringList is an array of strings.
func stringList(texts []string) *array {
	a := list()
	for _, s := range texts {
		a.append(s)
	}
	return a
}

// constant is the value of a constant by its name.
func constant(name string) (value, bool) {
	switch strings.ToLower(name) {
	case "true":
		return true, true
	case "false":
		return false, true
	case "null":
		return nil, true
	}
	v, ok := map[string]value{
		"PHP_EOL":            "\n",
		"PHP_INT_MAX":        int64(math.MaxInt64),
		"PHP_INT_MIN":        int64(math.MinInt64),
		"STR_PAD_LEFT":       int64(padLeft),
		"STR_PAD_RIGHT":      int64(padRight),
		"STR_PAD_BOTH":       int64(padBoth),
		"FILTER_VALIDATE_IP": int64(validateIP),
		"FILTER_FLAG_IPV4":   int64(flagIPv4),
		"FILTER_FLAG_IPV6":   int64(flagIPv6),
	}[name]
	return v, ok
}

// itoa is an int in decimal.
func itoa(n int64) string { return strconv.FormatInt(n, 10) }
