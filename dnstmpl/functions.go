package dnstmpl

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// functionNames lists what templates may call; the rest of text/template's own
// functions are for HTML, or make strings without limits.
func functionNames() []string {
	return []string{
		"and", "default", "eq", "fqdn", "ge", "gt", "index", "ip4", "ip6", "join", "le", "len", "list", "lower", "lt",
		"ne", "not", "or", "print", "printf", "replace", "rrtype", "slice", "trim", "trimDot", "txt",
	}
}

// functions are those that are not text/template's. The strings that they make are
// counted by out.
func functions(out *output) template.FuncMap {
	made := func(s string) (string, error) { return s, out.spend(len(s)) }
	return template.FuncMap{
		"txt":     func(parts ...any) (string, error) { return txt(out, parts) },
		"fqdn":    func(labels ...any) (string, error) { return fqdn(out, labels) },
		"ip4":     func(ips any) ([]netip.Addr, error) { return family(ips, netip.Addr.Is4) },
		"ip6":     func(ips any) ([]netip.Addr, error) { return family(ips, netip.Addr.Is6) },
		"rrtype":  rrtype,
		"list":    list,
		"join":    func(sep string, items any) (string, error) { return join(out, sep, items) },
		"lower":   func(s string) (string, error) { return made(strings.ToLower(s)) },
		"trim":    func(s string) string { return strings.Trim(s, " \t\r\n") },
		"trimDot": func(s string) string { return strings.TrimRight(s, ".") },
		"replace": func(s, a, b string) (string, error) { return replace(out, s, a, b) },
		"default": fallback,
		"print":   func(args ...any) (string, error) { return concat(out, args) },
		"printf":  func(format string, args ...any) (string, error) { return sprintf(out, format, args) },
	}
}

// concat is the arguments one after another.
func concat(out *output, args []any) (string, error) {
	var b strings.Builder
	for _, arg := range args {
		s := fmt.Sprint(arg)
		if err := out.grow(b.Len(), len(s)); err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func txt(out *output, parts []any) (string, error) {
	s, err := concat(out, parts)
	if err != nil {
		return "", err
	}
	quoted := Quote(s)
	return quoted, out.spend(len(quoted))
}

func fqdn(out *output, labels []any) (string, error) {
	var b strings.Builder
	for _, label := range labels {
		s := strings.Trim(fmt.Sprint(label), ".")
		if s == "" {
			continue
		}
		if err := out.grow(b.Len(), len(s)+1); err != nil {
			return "", err
		}
		b.WriteString(s)
		b.WriteByte('.')
	}
	return b.String(), nil
}

// family picks addresses from a list, or from a list of one.
func family(ips any, is func(netip.Addr) bool) ([]netip.Addr, error) {
	var picked []netip.Addr
	switch ips := ips.(type) {
	case netip.Addr:
		picked = []netip.Addr{ips}
	case []netip.Addr:
		picked = slices.Clone(ips)
	default:
		return nil, fmt.Errorf("wants IP addresses, such as .IPs")
	}
	return slices.DeleteFunc(picked, func(a netip.Addr) bool { return !is(a) }), nil
}

func rrtype(ip netip.Addr) string {
	if ip.Is4() {
		return "A"
	}
	return "AAAA"
}

func join(out *output, sep string, items any) (string, error) {
	list := reflect.ValueOf(items)
	if list.Kind() != reflect.Slice {
		return "", fmt.Errorf("wants a list")
	}
	var parts []any
	for i := range list.Len() {
		if i > 0 {
			parts = append(parts, sep)
		}
		parts = append(parts, list.Index(i).Interface())
	}
	return concat(out, parts)
}

func replace(out *output, s, a, b string) (string, error) {
	if err := out.spend(len(s) + strings.Count(s, a)*(len(b)-len(a))); err != nil {
		return "", err
	}
	return strings.ReplaceAll(s, a, b), nil
}

// fallback is value, or other where value is empty.
func fallback(other, value any) any {
	if truth, ok := template.IsTrue(value); ok && truth {
		return value
	}
	return other
}

// list refuses lists of lists: a few of them inside one another print as gigabytes.
func list(items ...any) ([]any, error) {
	for _, item := range items {
		switch item.(type) {
		case string, netip.Addr, netip.Prefix, bool, int, uint8, uint16, uint32:
		default:
			return nil, fmt.Errorf("a list is of strings, numbers and addresses, not of %T", item)
		}
	}
	return items, nil
}

// verb is what printf may have: flags, a width of two digits, and a letter. Wider
// ones, and arguments by number, make long strings of short ones.
var verb = regexp.MustCompile(`^[- 0]*[0-9]{0,2}(\.[0-9]{1,2})?[sdvqxXtc%]`)

func sprintf(out *output, format string, args []any) (string, error) {
	most := len(format)
	for rest := format; ; most += 100 {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			break
		}
		v := verb.FindString(after)
		if v == "" {
			return "", fmt.Errorf("printf takes %%s, %%d, %%v, %%q, %%x, %%t and %%c, with widths up to 99")
		}
		rest = after[len(v):]
	}
	if err := out.spend(most); err != nil {
		return "", err
	}
	for _, arg := range args {
		more := 4 * len(fmt.Sprint(arg)) // %q makes up to four octets of one
		if err := out.grow(most, more); err != nil {
			return "", err
		}
		most += more
	}
	return fmt.Sprintf(format, args...), nil
}
