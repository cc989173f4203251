package blade

import (
	"fmt"
	"math"
	"strings"
)

// Evaluate evaluates an expression with variables and gives a text that tells
// its value and types apart from all others.
func Evaluate(code string, vars map[string]any) (string, error) {
	src := newSource(code)
	x, err := parseExpr(src, 0, len(code), 0)
	if err != nil {
		return "", err
	}
	m := &machine{src: src, vars: map[string]value{}, names: functions}
	for name, v := range vars {
		if m.vars[name], err = fromGo(v); err != nil {
			return "", err
		}
	}
	v, err := m.eval(x)
	if err != nil {
		return "", err
	}
	return dump(v), nil
}

func dump(v value) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf("bool:%t", v)
	case int64:
		return fmt.Sprintf("int:%d", v)
	case float64:
		if math.IsNaN(v) {
			return "float:NAN"
		}
		return fmt.Sprintf("float:%016x", math.Float64bits(v))
	case string:
		return fmt.Sprintf("string:%x", v)
	case *array:
		parts := make([]string, v.count())
		for i, e := range v.entries {
			parts[i] = dump(e.key.value()) + "=>" + dump(e.value)
		}
		return "array:[" + strings.Join(parts, ",") + "]"
	}
	return typeName(v)
}
