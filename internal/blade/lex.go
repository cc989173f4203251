package blade

import (
	"strings"
)

// A tokenKind is what a token of an expression is.
type tokenKind int

const (
	tokenEnd      tokenKind = iota
	tokenName               // a function, constant or keyword
	tokenVariable           // text is its name without $
	tokenNumber             // text is as written
	tokenSingle             // '…'; text is what is between the quotes
	tokenDouble             // "…"; text is what is between the quotes
	tokenMark               // an operator or other mark
)

// A token of the code in a template.
type token struct {
	kind tokenKind
	at   int // offset of its first octet
	text string
}

// is reports whether a token is a mark.
func (t token) is(mark string) bool { return t.kind == tokenMark && t.text == mark }

// word reports whether a token is a name, in upper or lower case.
func (t token) word(name string) bool {
	return t.kind == tokenName && strings.EqualFold(t.text, name)
}

// String is a token as a message shows it.
func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end"
	case tokenVariable:
		return "$" + t.text
	case tokenSingle, tokenDouble:
		return "a string"
	}
	return t.text
}

// marks are the operators, a longer one before what it begins with.
var marks = strings.Fields(`**= ... <=> === !== <<= >>= ??= ?-> ** == != <> <= >= && || ?? ++ --
	+= -= *= /= .= %= &= |= ^= << >> -> => :: + - * / % = < > ! . ( ) [ ] { } , ; ? : & | ^ ~ @ \ $`)

// maxTokens bounds the code of one echo, directive or @php, and with it how
// deep its tree can be.
const maxTokens = 10_000

// lex cuts the code between two offsets into tokens. The last is a tokenEnd.
func lex(src *source, from, to int) ([]token, error) {
	var tokens []token
	for at := from; ; {
		at = skipComments(src.text, at, to)
		if at >= to {
			return append(tokens, token{kind: tokenEnd, at: to}), nil
		}
		t, end, err := lexOne(src, at, to)
		if err != nil {
			return nil, err
		}
		if len(tokens) == maxTokens {
			return nil, src.limitf(at, "one expression or @php has more than %d operands and operators", maxTokens)
		}
		tokens = append(tokens, t)
		at = end
	}
}

// lexOne cuts off the token at an offset and says where it ends.
func lexOne(src *source, at, to int) (token, int, error) {
	text := src.text[:to]
	switch c := text[at]; {
	case c == '$' && at+1 < to && isLetter(text[at+1]):
		end := endOfWord(text, at+1)
		return token{tokenVariable, at, text[at+1 : end]}, end, nil
	case isLetter(c):
		end := endOfWord(text, at)
		return token{tokenName, at, text[at:end]}, end, nil
	case isDigit(c), c == '.' && at+1 < to && isDigit(text[at+1]):
		end := endOfNumber(text, at)
		return token{tokenNumber, at, text[at:end]}, end, nil
	case c == '\'' || c == '"':
		end := endOfString(text, at)
		if end < 0 {
			return token{}, 0, src.errorf(at, "a string is not closed; write %c", c)
		}
		kind := tokenSingle
		if c == '"' {
			kind = tokenDouble
		}
		return token{kind, at, text[at+1 : end]}, end + 1, nil
	case strings.HasPrefix(text[at:], "<<<"):
		return token{}, 0, src.errorf(at, "<<< strings are not supported; write quotes")
	}
	for _, mark := range marks {
		if strings.HasPrefix(text[at:], mark) {
			return token{tokenMark, at, mark}, at + len(mark), nil
		}
	}
	return token{}, 0, src.errorf(at, "%q has no meaning in an expression", firstRune(text[at:]))
}

// skipComments goes to the next octet that counts.
func skipComments(text string, at, to int) int {
	for at < to {
		rest := text[at:to]
		end := 0
		switch {
		case isSpace(rest[0]):
			end = 1
		case strings.HasPrefix(rest, "//"), rest[0] == '#':
			end = strings.IndexByte(rest, '\n') + 1
		case strings.HasPrefix(rest, "/*"):
			if end = strings.Index(rest[2:], "*/"); end >= 0 {
				end += len("/**/")
			} else {
				end = 0
			}
		default:
			return at
		}
		if end == 0 {
			return to
		}
		at += end
	}
	return at
}

func endOfWord(text string, at int) int {
	for at < len(text) && isWord(text[at]) {
		at++
	}
	return at
}

// endOfNumber is where a number ends: digits, digits behind a dot, an exponent,
// or hexadecimal digits.
func endOfNumber(text string, at int) int {
	if rest := text[at:]; len(rest) > 2 && rest[0] == '0' && strings.IndexByte("xXbBoO", rest[1]) >= 0 {
		return endOfWord(text, at)
	}
	at = endOfDigits(text, at)
	if at < len(text) && text[at] == '.' {
		at = endOfDigits(text, at+1)
	}
	if at < len(text) && (text[at] == 'e' || text[at] == 'E') {
		exponent := at + 1
		if exponent < len(text) && (text[exponent] == '+' || text[exponent] == '-') {
			exponent++
		}
		if end := endOfDigits(text, exponent); end > exponent {
			return end
		}
	}
	return at
}

func endOfDigits(text string, at int) int {
	for at < len(text) && (isDigit(text[at]) || text[at] == '_') {
		at++
	}
	return at
}

// firstRune is the first character of a text.
func firstRune(text string) rune {
	for _, r := range text {
		return r
	}
	return 0
}
