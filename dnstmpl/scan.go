package dnstmpl

import (
	"fmt"
	"strings"
)

// A field is a word of a line, or a string in quotes.
type field struct {
	text   string // decoded: without quotes and escapes
	raw    string // as written
	offset int    // in the line
	quoted bool
}

// A fault is a problem at an offset of a line.
type fault struct {
	offset    int
	rule      Rule
	text, fix string
}

// fields cuts a line into its fields. A comment ends it; comment reports that there
// was one behind a field.
func fields(line string) (list []field, comment bool, bad *fault) {
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == ' ' || c == '\t':
			i++
		case c == ';':
			return list, len(list) > 0, nil
		case c == '"':
			f, bad := quotedField(line, i)
			if bad != nil {
				return nil, false, bad
			}
			list, i = append(list, f), i+len(f.raw)
		default:
			f, bad := plainField(line, i)
			if bad != nil {
				return nil, false, bad
			}
			list, i = append(list, f), i+len(f.raw)
		}
	}
	return list, false, nil
}

// quotedField reads the string in quotes that begins at an offset.
func quotedField(line string, start int) (field, *fault) {
	var text []byte
	for i := start + 1; i < len(line); {
		switch c := line[i]; c {
		case '"':
			if end := i + 1; end < len(line) && line[end] != ' ' && line[end] != '\t' {
				return field{}, &fault{end, RuleLine, "something follows a string in quotes at once", `a blank behind it, or \" for a quote inside`}
			}
			return field{string(text), line[start : i+1], start, true}, nil
		case '\\':
			c, n, ok := unescape(line[i:])
			if !ok {
				return field{}, &fault{i, RuleLine, `a backslash is followed by no character, or by a number that is no octet`, `\\ for a backslash`}
			}
			text = append(text, c)
			i += n
		default:
			text = append(text, c)
			i++
		}
	}
	return field{}, &fault{start, RuleLine, "a string in quotes has no end", `a closing quote, and \" for a quote inside`}
}

// plainField reads the word that begins at an offset.
func plainField(line string, start int) (field, *fault) {
	end := start
	for end < len(line) && line[end] != ' ' && line[end] != '\t' {
		switch c := line[end]; {
		case c == '(' || c == ')':
			return field{}, &fault{end, RuleLine, "parentheses continue a record on other lines: a record is one line here", "it on one line, and text with parentheses in quotes"}
		case c == ';':
			return field{}, &fault{end, RuleLine, "the semicolon begins a comment: the rest of the line would be lost", "text in quotes, or a blank in front of a comment"}
		case c == '"':
			return field{}, &fault{end, RuleLine, "a quote inside a word", "a blank in front of the string in quotes"}
		case c == '\\':
			return field{}, &fault{end, RuleLine, "a backslash outside of quotes", "text in quotes; names need no backslash"}
		case c < ' ' || c == 0x7f:
			return field{}, &fault{end, RuleLine, fmt.Sprintf("a control character, %q", string(rune(c))), "nothing in its place, or text in quotes with \\DDD for it"}
		}
		end++
	}
	return field{line[start:end], line[start:end], start, false}, nil
}

// unescape reads \X or \DDD (RFC 1035 section 5.1) and says how long it is.
func unescape(s string) (c byte, n int, ok bool) {
	if len(s) < 2 {
		return 0, 0, false
	}
	if s[1] < '0' || s[1] > '9' {
		return s[1], 2, true
	}
	if len(s) < 4 || strings.Trim(s[1:4], "0123456789") != "" {
		return 0, 0, false
	}
	v := int(s[1]-'0')*100 + int(s[2]-'0')*10 + int(s[3]-'0')
	return byte(v), 4, v < 256
}
