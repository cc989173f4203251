package address

import "strings"

// ParsePath reads the path at the beginning of s, where s is what follows FROM:
// or TO: in a command (RFC 5321 section 4.1.1). path is what stands between the
// angle brackets, for [Parse] to read; it is "" for the null path <>. rest is
// what follows, without the blanks around it: the parameters, if any.
//
// Quoted strings are honoured, so that a bracket or blank inside one ends
// nothing. A path without brackets is taken up to the first blank, as other
// servers do. Blanks before the path are skipped, for many clients write them.
// Between the path and the rest a blank must stand.
func ParsePath(s string) (path, rest string, err error) {
	s = strings.TrimLeft(s, " \t")
	if s == "" {
		return "", "", ErrPath
	}
	bracket := s[0] == '<'
	if bracket {
		s = s[1:]
	}
	end, err := pathEnd(s, bracket)
	if err != nil {
		return "", "", err
	}
	path, rest = s[:end], s[end:]
	if bracket {
		rest = rest[1:]
	}
	if rest != "" && !isBlank(rest[0]) {
		return "", "", ErrPath
	}
	return path, strings.Trim(rest, " \t"), nil
}

// pathEnd is the index of the octet that ends the path: the closing bracket if
// there was an opening one, else the first blank or the end of s.
func pathEnd(s string, bracket bool) (int, error) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			n := quotedEnd(s[i:])
			if n < 0 {
				return 0, ErrPath
			}
			i += n - 1
		case c == '<':
			return 0, ErrPath
		case c == '>':
			if !bracket {
				return 0, ErrPath
			}
			return i, nil
		case isBlank(c) && !bracket:
			return i, nil
		}
	}
	if bracket {
		return 0, ErrPath
	}
	return len(s), nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
