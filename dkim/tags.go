package dkim

import (
	"errors"
	"strings"
)

var errTags = errors.New("malformed tag list")

// A tag is one "name=value" of a tag list.
type tag struct{ name, value string }

// parseTags reads a tag list (RFC 6376 section 3.2), of a record or of a signature.
// Values come without the blanks around them.
func parseTags(text string) ([]tag, error) {
	var tags []tag
	for spec := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(spec, "=")
		name = strings.Trim(name, blanks)
		switch {
		case !ok && name == "":
			continue // behind the last semicolon
		case !ok, !isTagName(name):
			return nil, errTags
		}
		if _, again := find(tags, name); again {
			return nil, errTags
		}
		tags = append(tags, tag{name, strings.Trim(value, blanks)})
	}
	return tags, nil
}

// find is the value of a tag.
func find(tags []tag, name string) (value string, ok bool) {
	for _, t := range tags {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}

const blanks = " \t\r\n"

// withoutBlanks removes the blanks that may stand inside of a value.
func withoutBlanks(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(blanks, r) {
			return -1
		}
		return r
	}, s)
}

// isTagName reports whether s is a letter and more letters, digits and underscores.
func isTagName(s string) bool {
	if s == "" || strings.Contains("0123456789_", s[:1]) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '_' && !isAlphanumeric(r) })
}
