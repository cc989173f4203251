package blade

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A value is what an expression has: nil, bool, int64, float64, string, *array,
// object or *closure. Values do not change.
type value any

// An object has properties and methods that a template may ask for. Templates
// make none.
type object interface {
	property(name string) (value, bool)
	method(name string) (func(args []value) (value, error), bool)
}

// typeName is a value's type as messages name it.
func typeName(v value) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a bool"
	case int64:
		return "an int"
	case float64:
		return "a float"
	case string:
		return "a string"
	case *array:
		return "an array"
	case *closure:
		return "a function"
	}
	return "an object"
}

// truth is a value as a condition.
func truth(v value) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != "" && v != "0"
	case *array:
		return v.count() > 0
	}
	return true
}

// toText is a value as a string.
func toText(v value) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case bool:
		if v {
			return "1", nil
		}
		return "", nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return floatText(v), nil
	case string:
		return v, nil
	case *array:
		return "", fmt.Errorf("an array is no string; write implode(' ', …) or @foreach")
	}
	return "", fmt.Errorf("%s is no string", typeName(v))
}

// floatText is a number with at most 14 digits, as PHP prints it.
func floatText(f float64) string {
	const digits = 14
	switch {
	case math.IsNaN(f):
		return "NAN"
	case math.IsInf(f, 1):
		return "INF"
	case math.IsInf(f, -1):
		return "-INF"
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', digits-1, 64), "e")
	n, _ := strconv.Atoi(exponent)
	if n >= -4 && n < digits {
		return strconv.FormatFloat(rounded(f, digits), 'f', -1, 64)
	}
	mantissa = strings.TrimRight(mantissa, "0")
	if strings.HasSuffix(mantissa, ".") {
		mantissa += "0"
	}
	return fmt.Sprintf("%sE%+d", mantissa, n)
}

// rounded is a number with so many significant digits.
func rounded(f float64, digits int) float64 {
	f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'e', digits-1, 64), 64)
	return f
}

// number is a value as a number in arithmetic: an int64 or a float64.
func number(v value) (value, error) {
	switch v := v.(type) {
	case nil:
		return int64(0), nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case int64, float64:
		return v, nil
	case string:
		if n, ok := numeric(v); ok {
			return n, nil
		}
		return nil, fmt.Errorf("%s is no number", quoted(v))
	}
	return nil, fmt.Errorf("%s is no number", typeName(v))
}

// numeric reads a string that is a number and nothing more: an int64 or, with a
// dot, an exponent or too many digits, a float64. Blanks around it do not
// count.
func numeric(s string) (value, bool) {
	s = strings.Trim(s, " \t\n\r\v\f")
	end := numericPrefix(s)
	if end == 0 || end < len(s) {
		return nil, false
	}
	return parseNumber(s), true
}

// numericPrefix is the length of the number that a string begins with.
func numericPrefix(s string) int {
	at := 0
	if at < len(s) && (s[at] == '+' || s[at] == '-') {
		at++
	}
	digits := 0
	for ; at < len(s) && isDigit(s[at]); at++ {
		digits++
	}
	if at < len(s) && s[at] == '.' {
		for at++; at < len(s) && isDigit(s[at]); at++ {
			digits++
		}
	}
	if digits == 0 {
		return 0
	}
	if at < len(s) && (s[at] == 'e' || s[at] == 'E') {
		end := at + 1
		if end < len(s) && (s[end] == '+' || s[end] == '-') {
			end++
		}
		if end < len(s) && isDigit(s[end]) {
			for at = end; at < len(s) && isDigit(s[at]); at++ {
			}
		}
	}
	return at
}

// parseNumber reads a number in decimal digits.
func parseNumber(s string) value {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	f, _ := strconv.ParseFloat(s, 64) // what is out of range is infinite
	return f
}

// castable is what a cast to a number makes one of: a string counts as far as it is one.
func castable(v value) value {
	switch w := v.(type) {
	case string:
		w = strings.TrimLeft(w, " \t\n\r\v\f")
		if end := numericPrefix(w); end > 0 {
			return parseNumber(w[:end])
		}
		return int64(0)
	case *array:
		return w.count() > 0
	}
	return v
}

// toInt is a value after (int).
func toInt(v value) (int64, error) {
	n, err := number(castable(v))
	if f, ok := n.(float64); ok {
		if math.IsNaN(f) || f < -1<<63 || f >= 1<<63 {
			return 0, fmt.Errorf("%s is too large for an int", floatText(f))
		}
		return int64(f), err
	}
	i, _ := n.(int64)
	return i, err
}

// toFloat is a value after (float).
func toFloat(v value) (float64, error) {
	n, err := number(castable(v))
	if i, ok := n.(int64); ok {
		return float64(i), err
	}
	f, _ := n.(float64)
	return f, err
}

// quoted is a string as messages show it, not at any length.
func quoted(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return strconv.Quote(s)
}
