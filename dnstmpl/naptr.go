package dnstmpl

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// flags are those of a NAPTR record, letters and digits (RFC 3403 section 4.1).
func (v *values) flags() string {
	f := v.field()
	flags := v.limited(f)
	if !alphanumeric(flags) {
		v.fail(f, `"u", "s", "a" or "p"`, "the flags %.40q of NAPTR are not letters and digits", flags)
	}
	return flags
}

// substitution is the regexp of a NAPTR record, which may be empty.
func (v *values) substitution() string {
	f := v.field()
	s := v.limited(f)
	if s == "" {
		return ""
	}
	if err := checkSubstitution(s); err != nil {
		v.fail(f, `"!^.*$!mailto:info@example.com!"`, "the regexp of NAPTR %v", err)
	}
	return s
}

// checkSubstitution checks a substitution expression (RFC 3402 section 3.2): a
// delimiter, an extended regular expression of POSIX, the delimiter, what takes the
// place of the match, the delimiter, and flags.
func checkSubstitution(s string) error {
	delimiter := s[0]
	if delimiter >= 0x80 || strings.IndexByte(`0123456789i\`, delimiter) >= 0 {
		return fmt.Errorf("cannot have %q as its delimiter", delimiter)
	}
	var parts []string
	start := 1
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case delimiter:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	switch {
	case len(parts) != 2:
		return fmt.Errorf("has the delimiter %q %d times, not 3", delimiter, len(parts)+1)
	case strings.Trim(s[start:], "i") != "":
		return fmt.Errorf("has flags other than i: %.40q", s[start:])
	}
	groups, err := checkExtended(parts[0])
	if err != nil {
		return err
	}
	return checkReplacement(parts[1], groups)
}

// checkExtended checks an extended regular expression, and counts its groups. What
// POSIX leaves undefined is refused, for name servers do not take it: an expression or
// an alternative of nothing, and a repetition of nothing or of a repetition.
func checkExtended(ere string) (groups int, err error) {
	parsed, err := syntax.Parse(ere, syntax.POSIX)
	if err != nil {
		return 0, fmt.Errorf("has no regular expression: %w", err)
	}
	// what a bracket or a backslash makes of special characters
	plain := regexp.MustCompile(`\\.|\[\^?\]?(\[[:.=][^]]*\]|[^]])*\]`).ReplaceAllString(ere, "x")
	for _, m := range regexp.MustCompile(`\{([^}]*)(\}?)`).FindAllStringSubmatch(plain, -1) {
		if m[2] == "" || !regexp.MustCompile(`^\d{1,2}(,\d{0,2})?$`).MatchString(m[1]) {
			return 0, fmt.Errorf("repeats something %.40q times: numbers up to 99 are safe", m[1])
		}
	}
	if m := regexp.MustCompile(`(^|[(|^])([*+?{|]|$)|[*+?}$][*+?{]|\|($|\))`).FindString(plain); m != "" || plain == "" {
		return 0, fmt.Errorf("has nothing where something is to match, or to be repeated: %q", m)
	}
	return parsed.MaxCap(), nil
}

// checkReplacement checks that each \1 to \9 is a group that there is.
func checkReplacement(s string, groups int) error {
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		i++
		if n, err := strconv.Atoi(s[i : i+1]); err == nil && (n == 0 || n > groups) {
			return fmt.Errorf(`has \%d, and %d groups in parentheses`, n, groups)
		}
	}
	return nil
}
