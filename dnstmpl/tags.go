package dnstmpl

import (
	"maps"
	"strings"
)

// sameTags compares two tag lists, such as "v=DMARC1; p=none" (RFC 6376 section 3.2).
func sameTags(kind, a, b string) bool {
	ta, ok := tags(kind, a)
	tb, also := tags(kind, b)
	return ok && also && maps.Equal(ta, tb)
}

// tags reads a tag list. ok is false where it is none, or has a tag twice.
func tags(kind, text string) (list map[string]string, ok bool) {
	list = map[string]string{}
	if kind == "DKIM" {
		list["v"], list["k"], list["s"] = "DKIM1", "rsa", "*" // RFC 6376 section 3.6.1
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		if strings.Trim(part, " \t") == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		name = strings.Trim(name, " \t")
		if !found || seen[name] {
			return nil, false
		}
		seen[name] = true
		value = strings.Trim(value, " \t")
		if kind == "DKIM" && name == "p" {
			value = strings.NewReplacer(" ", "", "\t", "").Replace(value)
		}
		list[name] = value
	}
	return list, true
}
