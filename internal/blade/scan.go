package blade

import "strings"

// A pieceKind is what a piece of a template is.
type pieceKind int

const (
	pieceEnd       pieceKind = iota
	pieceText                // literal octets
	pieceRaw                 // an echo
	pieceEscaped             // an echo, escaped for HTML
	pieceDirective           // @name, perhaps with parentheses
	piecePHP                 // statements
)

// A piece of a template, in the order of the text.
type piece struct {
	kind pieceKind
	at   int    // offset of its first octet
	text string // of literal text
	name string // of a directive, in lower case
	from int    // offsets of the code in it
	to   int
	args bool // a directive has parentheses; the code is what is between them
}

// A scanner cuts a template into pieces, in Blade's way.
type scanner struct {
	src    *source
	at     int // the next octet
	start  int // of the text not yet cut off
	pieces []piece
	vain   int // octets read in search of a parenthesis, for nothing
}

// maxVain keeps a template of statements with parentheses that are not closed from
// being read through once for each of them.
const maxVain = 4 << 20

// scan cuts a template. The last piece is a pieceEnd.
func scan(src *source) ([]piece, error) {
	s := &scanner{src: src}
	for s.at < len(src.text) {
		if err := s.next(); err != nil {
			return nil, err
		}
	}
	s.cut(s.at, s.at)
	return append(s.pieces, piece{kind: pieceEnd, at: len(src.text)}), nil
}

// next looks at one octet of text or at one thing that is not text.
func (s *scanner) next() error {
	rest := s.src.text[s.at:]
	switch {
	case strings.HasPrefix(rest, "{{--"):
		end := strings.Index(rest, "--}}")
		if end < 0 {
			return s.src.errorf(s.at, "a comment is not closed; write --}}")
		}
		s.cut(s.at, s.at+end+len("--}}"))
	case strings.HasPrefix(rest, "{!!"):
		return s.echo(pieceRaw, "{!!", "!!}")
	case strings.HasPrefix(rest, "{{{"):
		return s.echo(pieceEscaped, "{{{", "}}}")
	case strings.HasPrefix(rest, "{{"):
		return s.echo(pieceEscaped, "{{", "}}")
	case strings.HasPrefix(rest, "@{!!"):
		return s.literal("{!!", "!!}")
	case strings.HasPrefix(rest, "@{{{"):
		return s.literal("{{{", "}}}")
	case strings.HasPrefix(rest, "@{{"):
		return s.literal("{{", "}}")
	case rest[0] == '@':
		return s.word()
	case strings.HasPrefix(rest, "<?php"), strings.HasPrefix(rest, "<?="):
		return s.src.errorf(s.at, "PHP is not run; write @php … @endphp or {!! … !!}")
	default:
		s.at++
	}
	return nil
}

// cut ends the text at an offset and goes on at another.
func (s *scanner) cut(end, next int) {
	if end > s.start {
		s.pieces = append(s.pieces, piece{kind: pieceText, at: s.start, text: s.src.text[s.start:end]})
	}
	s.at, s.start = next, next
}

// literal takes an echo that a @ before it makes text.
func (s *scanner) literal(opening, closing string) error {
	at := s.at + 1
	end := strings.Index(s.src.text[at:], closing)
	if end < 0 {
		return s.src.errorf(at, "%s is not closed; write %s", opening, closing)
	}
	s.cut(s.at, at) // without the @
	s.at += end + len(closing)
	return nil
}

// echo takes an expression up to the first closing mark, be that in a string
// or not.
func (s *scanner) echo(kind pieceKind, opening, closing string) error {
	text, at := s.src.text, s.at
	from := at + len(opening)
	end := strings.Index(text[from:], closing)
	if end < 0 {
		return s.src.errorf(at, "%s is not closed; write %s", opening, closing)
	}
	to := from + end
	s.cut(at, to+len(closing))
	for from < to && isSpace(text[from]) {
		from++
	}
	for to > from && isSpace(text[to-1]) {
		to--
	}
	if to > from && text[to-1] == ';' {
		to--
	}
	s.pieces = append(s.pieces, piece{kind: kind, at: at, from: from, to: to})
	return nil
}

// word takes a directive, an escaped one, or an @ that is text.
func (s *scanner) word() error {
	text, at := s.src.text, s.at
	name := at + 1
	escaped := strings.HasPrefix(text[name:], "@")
	if escaped {
		name++
	}
	end := name
	for end < len(text) && isWord(text[end]) {
		end++
	}
	if end == name || at > 0 && isWord(text[at-1]) {
		s.at++
		return nil
	}
	word := strings.ToLower(text[name:end])
	switch {
	case escaped:
		s.cut(at, at+1)
		s.at = end
	case word == "verbatim":
		return s.verbatim(at, end)
	case word == "php":
		return s.php(at, end)
	case supported(word):
		return s.directive(at, end, word)
	case refused(word):
		return s.src.errorf(at, "@%s is not supported; write %s", text[name:end], instead(word))
	default:
		s.at = end
	}
	return nil
}

// verbatim takes text in which nothing is special.
func (s *scanner) verbatim(at, from int) error {
	end := strings.Index(s.src.text[from:], "@endverbatim")
	if end < 0 {
		return s.src.errorf(at, "@verbatim is not closed; write @endverbatim")
	}
	s.cut(at, from)
	s.cut(from+end, from+end+len("@endverbatim"))
	return nil
}

// php takes statements: those in parentheses that end their line, or all up to
// @endphp.
func (s *scanner) php(at, from int) error {
	text := s.src.text
	if open := skipBlanks(text, from); open < len(text) && text[open] == '(' {
		closing := s.closing(open)
		rest := skipBlanks(text, closing+1)
		if closing > 0 && (rest >= len(text) || text[rest] == '\n' || text[rest] == '\r') {
			s.add(piece{kind: piecePHP, at: at, from: open, to: closing + 1}, closing+1)
			return nil
		}
		if closing < 0 {
			closing = len(text)
		}
		if s.vain += closing - open; s.vain > maxVain {
			return s.src.errorf(open, "too many parentheses behind @php are not closed where their line ends; write @php without them")
		}
	}
	end := strings.Index(text[from:], "@endphp")
	if end < 0 {
		return s.src.errorf(at, "@php is not closed; write @endphp")
	}
	s.add(piece{kind: piecePHP, at: at, from: from, to: from + end}, from+end+len("@endphp"))
	return nil
}

// directive takes a directive and what it has in parentheses.
func (s *scanner) directive(at, end int, word string) error {
	p := piece{kind: pieceDirective, at: at, name: word}
	open := skipBlanks(s.src.text, end)
	if open < len(s.src.text) && s.src.text[open] == '(' {
		closing := s.closing(open)
		if closing < 0 {
			return s.src.errorf(open, "the parenthesis behind @%s is not closed", word)
		}
		p.args, p.from, p.to = true, open+1, closing
		end = closing + 1
	}
	s.add(p, end)
	return nil
}

// add ends the text before a piece of code and goes on behind it and behind
// the line end that it eats. Comments between the two do not count.
func (s *scanner) add(p piece, end int) {
	s.cut(p.at, end)
	s.pieces = append(s.pieces, p)
	rest := s.src.text[end:]
	for strings.HasPrefix(rest, "{{--") && strings.Contains(rest, "--}}") {
		rest = rest[strings.Index(rest, "--}}")+len("--}}"):]
	}
	end = len(s.src.text) - len(rest)
	switch {
	case strings.HasPrefix(rest, "\n"):
		end++
	case strings.HasPrefix(rest, "\r\n"):
		end += 2
	}
	s.at, s.start = end, end
}

// closing is the offset of the parenthesis that closes the one at open, or
// negative. Parentheses in strings do not count.
func (s *scanner) closing(open int) int {
	text, depth := s.src.text, 0
	for i := open; i < len(text); i++ {
		switch c := text[i]; c {
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 {
				return i
			}
		case '\'', '"':
			if i = endOfString(text, i); i < 0 {
				return -1
			}
		}
	}
	return -1
}

// endOfString is the offset of the quote that closes the one at open, or
// negative.
func endOfString(text string, open int) int {
	for i := open + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[open]:
			return i
		}
	}
	return -1
}

func skipBlanks(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}
