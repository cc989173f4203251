package sendmail

import (
	"errors"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// parseList reads an address list as people write it: RFC 5322 section 3.4 with
// groups and comments, encoded words and octets outside ASCII in names, ";"
// for ",", and bare local-parts. It returns the addresses alone. What is
// neither an address nor a name in front of one is an error.
func parseList(text string) ([]string, error) {
	p := listParser{rest: text}
	for p.rest != "" {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	if p.group {
		return nil, errors.New("a group is not ended")
	}
	err := p.flush()
	return p.found, err
}

// A listParser holds the list element read so far.
type listParser struct {
	rest  string
	found []string

	words  []word
	angle  string // what stood in <>
	angled bool
	group  bool // inside name: … ;
	gap    bool // a blank or a comment came last
}

type word struct {
	text string
	gap  bool // something stood between it and the word before
}

// next reads one token.
func (p *listParser) next() (err error) {
	switch c := p.rest[0]; c {
	case ' ', '\t', '\r', '\n':
		p.gap, p.rest = true, p.rest[1:]
	case '(':
		p.gap = true
		p.rest, err = skipComment(p.rest)
	case ',', ';':
		p.rest = p.rest[1:]
		err = p.flush()
		if c == ';' {
			p.group = false
		}
	case ':':
		if p.group || p.angled || p.hasAt() {
			return errors.New("misplaced colon")
		}
		p.words, p.group, p.rest = nil, true, p.rest[1:]
	case '<':
		if p.angled {
			return errors.New("two addresses without a comma between them")
		}
		p.angled = true
		p.angle, p.rest, err = cutAngle(p.rest[1:])
	case '>', ')', ']', '\\':
		return fmt.Errorf("misplaced %q", c)
	default:
		var text string
		text, p.rest, err = cutWord(p.rest)
		if p.angled {
			return errors.New("something follows the address in angle brackets")
		}
		p.words = append(p.words, word{text, p.gap})
		p.gap = false
	}
	return err
}

func (p *listParser) hasAt() bool {
	for _, w := range p.words {
		if !strings.HasPrefix(w.text, `"`) && strings.Contains(w.text, "@") {
			return true
		}
	}
	return false
}

// flush ends a list element.
func (p *listParser) flush() error {
	words, angle, angled := p.words, p.angle, p.angled
	p.words, p.angle, p.angled, p.gap = nil, "", false, false
	switch {
	case angled:
		if angle = strings.TrimSpace(angle); angle == "" {
			return errors.New("an address is empty")
		}
		p.found = append(p.found, angle)
		return nil
	case len(words) == 0:
		return nil
	}
	spec := words[0].text
	for _, w := range words[1:] {
		// RFC 5322 section 4.4 lets blanks stand around dots and the at sign.
		if w.gap && !strings.ContainsAny(spec[len(spec)-1:], ".@") && !strings.ContainsAny(w.text[:1], ".@") {
			return fmt.Errorf("%q is no address", join(words))
		}
		spec += w.text
	}
	p.found = append(p.found, spec)
	return nil
}

func join(words []word) string {
	var texts []string
	for _, w := range words {
		texts = append(texts, w.text)
	}
	return strings.Join(texts, " ")
}

// skipComment returns what follows the comment that s begins with.
func skipComment(s string) (rest string, err error) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return s[i+1:], nil
			}
		}
	}
	return "", errors.New("a comment is not closed")
}

// cutAngle splits s behind the bracket that closes an address.
func cutAngle(s string) (inside, rest string, err error) {
	for i := 0; i < len(s); {
		switch s[i] {
		case '>':
			return s[:i], s[i+1:], nil
		case '<':
			return "", "", errors.New("an angle bracket inside an address")
		case '"':
			quoted, _, err := cutQuoted(s[i:])
			if err != nil {
				return "", "", err
			}
			i += len(quoted)
		default:
			i++
		}
	}
	return "", "", errors.New("an angle bracket is not closed")
}

// cutQuoted splits s behind the quoted string that it begins with.
func cutQuoted(s string) (quoted, rest string, err error) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[:i+1], s[i+1:], nil
		}
	}
	return "", "", errors.New("a quote is not closed")
}

// cutWord splits s behind the quoted string, address literal, encoded word or run
// of other characters that it begins with.
func cutWord(s string) (text, rest string, err error) {
	switch {
	case s[0] == '"':
		return cutQuoted(s)
	case s[0] == '[':
		inside, rest, ok := strings.Cut(s, "]")
		if !ok {
			return "", "", errors.New("a bracket is not closed")
		}
		return inside + "]", rest, nil
	}
	if n := encodedWord(s); n > 0 {
		return s[:n], s[n:], nil
	}
	n := strings.IndexAny(s, " \t\r\n(),;:<>[]\\\"")
	if n < 0 {
		n = len(s)
	}
	return s[:n], s[n:], nil
}

// encodedWord is the length of the encoded word (RFC 2047) that s begins with, 0
// if there is none. Some contain what no atom may.
func encodedWord(s string) int {
	parts := strings.SplitN(s, "?", 5)
	if len(parts) < 5 || parts[0] != "=" || len(parts[2]) != 1 || !strings.HasPrefix(parts[4], "=") ||
		strings.ContainsAny(parts[1]+parts[3], " \t\r\n") {
		return 0
	}
	return len("=?" + parts[1] + "?" + parts[2] + "?" + parts[3] + "?=")
}

// complete makes an address of one that may lack its domain, and refuses what no
// server takes.
func complete(spec, origin string) (string, error) {
	if hasControls(spec) {
		return "", address.ErrControl
	}
	if !strings.HasSuffix(spec, `"`) && strings.Contains(spec, "@") || origin == "" {
		return check(spec)
	}
	return check(spec + "@" + origin)
}

func check(spec string) (string, error) {
	a, err := address.Parse(spec)
	switch {
	case err != nil:
		return "", err
	case a.Dashed():
		return "", errors.New("local-part begins with a hyphen")
	}
	return a.String(), nil
}
