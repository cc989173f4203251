package blade

import (
	"math"
	"strconv"
	"strings"
)

// A verb of a format, such as %'010.2f.
type verb struct {
	arg       int // which argument, from 0
	left      bool
	plus      bool
	fill      byte
	width     int
	precision int // negative: not given
	letter    byte
}

// A formatter reads the format of sprintf.
type formatter struct {
	c      *callee
	format string
	args   []value
	next   int // the argument of the next verb that does not name one
	out    strings.Builder
}

// format writes arguments as sprintf does.
func (c *callee) format(format string, args []value) value {
	f := &formatter{c: c, format: format, args: args}
	for f.format != "" && c.err == nil {
		at := strings.IndexByte(f.format, '%')
		if at < 0 {
			at = len(f.format)
		}
		f.out.WriteString(f.format[:at])
		f.format = f.format[at:]
		if f.format != "" {
			f.verb()
		}
		c.spend(f.out.Len(), 0)
	}
	return f.out.String()
}

// verb writes what the verb at the head of the format means.
func (f *formatter) verb() {
	if strings.HasPrefix(f.format, "%%") {
		f.out.WriteByte('%')
		f.format = f.format[2:]
		return
	}
	f.format = f.format[1:]
	v := f.read()
	switch {
	case f.c.err != nil:
		return
	case v.letter == 0:
		f.c.fail("the format ends in a %%")
		return
	case v.arg >= len(f.args):
		f.c.fail("the format wants %d values", v.arg+1)
		return
	case v.width > MaxString || v.precision > 50:
		f.c.fail("the format wants too many characters")
		return
	}
	f.pad(v, f.value(v))
}

// read reads a verb behind its %.
func (f *formatter) read() verb {
	v := verb{fill: ' ', precision: -1, arg: -1}
	if n := f.digits(); n > 0 && strings.HasPrefix(f.format, "$") {
		v.arg = n - 1
		f.format = f.format[1:]
	} else {
		v.width = n
	}
	if v.width == 0 {
		f.flags(&v)
		v.width = f.digits()
	}
	if strings.HasPrefix(f.format, ".") {
		f.format = f.format[1:]
		v.precision = f.digits()
	}
	f.format = strings.TrimPrefix(f.format, "l")
	if f.format != "" {
		v.letter, f.format = f.format[0], f.format[1:]
	}
	if v.arg < 0 {
		v.arg = f.next
		f.next++
	}
	return v
}

// digits reads a number that does not begin with a zero, or the precision 0.
func (f *formatter) digits() int {
	size := span(f.format, "0123456789", 9)
	if size > 1 && f.format[0] == '0' {
		return 0
	}
	n, _ := strconv.Atoi(f.format[:size])
	if n > 0 || size == 1 {
		f.format = f.format[size:]
	}
	return n
}

func (f *formatter) flags(v *verb) {
	for f.format != "" {
		switch c := f.format[0]; {
		case c == '-':
			v.left = true
		case c == '+':
			v.plus = true
		case c == '0', c == ' ':
			v.fill = c
		case c == '\'' && len(f.format) > 1:
			f.format = f.format[1:]
			v.fill = f.format[0]
		default:
			return
		}
		f.format = f.format[1:]
	}
}

// value is an argument as its verb writes it.
func (f *formatter) value(v verb) string {
	arg := f.args[v.arg]
	switch v.letter {
	case 's':
		s, err := toText(arg)
		f.c.refuse(v.arg+1, err)
		if v.precision >= 0 {
			s = s[:min(len(s), v.precision)]
		}
		return s
	case 'f', 'F', 'e', 'E':
		return f.float(v, arg)
	}
	n, err := toInt(arg)
	f.c.refuse(v.arg+1, err)
	switch v.letter {
	case 'd', 'i':
		return signed(v, itoa(n), n >= 0)
	case 'u':
		return strconv.FormatUint(uint64(n), 10)
	case 'x':
		return strconv.FormatUint(uint64(n), 16)
	case 'X':
		return upper(strconv.FormatUint(uint64(n), 16))
	case 'o':
		return strconv.FormatUint(uint64(n), 8)
	case 'b':
		return strconv.FormatUint(uint64(n), 2)
	case 'c':
		return string([]byte{byte(n)})
	}
	f.c.fail("%%%c is not a format", v.letter)
	return ""
}

// float writes a number with a dot: with six digits behind it if it is not said.
func (f *formatter) float(v verb, arg value) string {
	x, err := toFloat(arg)
	f.c.refuse(v.arg+1, err)
	if v.precision < 0 {
		v.precision = 6
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		f.c.fail("%s is not a number", floatText(x))
		return ""
	}
	if v.letter == 'f' || v.letter == 'F' {
		return signed(v, strconv.FormatFloat(x, 'f', v.precision, 64), !math.Signbit(x))
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'e', v.precision, 64), "e")
	n, _ := strconv.Atoi(exponent)
	sign := "+"
	if n < 0 {
		sign = ""
	}
	letter := string(v.letter)
	return signed(v, mantissa+letter+sign+strconv.Itoa(n), !math.Signbit(x))
}

// signed puts a plus before what is not negative, if the verb wants one.
func signed(v verb, digits string, positive bool) string {
	if v.plus && positive {
		return "+" + digits
	}
	return digits
}

// pad writes a text with what is missing to the width of its verb. Zeros stand
// behind a sign.
func (f *formatter) pad(v verb, s string) {
	missing := v.width - len(s)
	if missing <= 0 || v.letter == 'c' {
		f.out.WriteString(s)
		return
	}
	fill := strings.Repeat(string([]byte{v.fill}), missing)
	numeric := v.letter != 's'
	switch {
	case v.left && v.fill == '0' && numeric:
		f.out.WriteString(s + strings.Repeat(" ", missing))
	case v.left:
		f.out.WriteString(s + fill)
	case v.fill == '0' && numeric && s != "" && (s[0] == '-' || s[0] == '+'):
		f.out.WriteString(s[:1] + fill + s[1:])
	default:
		f.out.WriteString(fill + s)
	}
}
