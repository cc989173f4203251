package rfc5322

import (
	"strings"
	"unicode/utf8"
)

// A folder writes one header field, breaking lines between its parts
// (RFC 5322 section 2.2.3).
type folder struct {
	b     []byte
	line  int  // length of the current line
	begun bool // something follows the colon
}

// foldWidth is the length a line should not exceed, CRLF not counted.
const foldWidth = 78

func newFolder(name string) *folder {
	b := append(make([]byte, 0, 256), name...)
	return &folder{b: append(b, ':'), line: len(name) + 1}
}

// add appends a part behind a blank, on a new line if it does not fit this one.
// The first part stays on the line of the name, whatever its length.
func (f *folder) add(part string) {
	if f.begun && f.line+1+len(part) > foldWidth {
		f.b = append(f.b, "\r\n\t"...)
		f.line = 8
	} else {
		f.b = append(f.b, ' ')
		f.line++
	}
	f.begun = true
	f.glue(part)
}

// glue appends without a blank.
func (f *folder) glue(part string) {
	f.b = append(f.b, part...)
	f.line += len(part)
}

func (f *folder) end() []byte { return append(f.b, crlf...) }

// Fold makes an unstructured field from a text: runs of blanks become one, lines
// are broken at blanks, words too long for any line are cut, and control
// characters become question marks. Octets from 0x80 on stay as they are.
func Fold(name, text string) []byte {
	f := newFolder(fieldName(name))
	for _, part := range strings.FieldsFunc(text, isBlank) {
		for part != "" {
			n := len(part)
			if n > maxPart {
				n = runeStart(part, maxPart)
			}
			f.add(visible(part[:n]))
			part = part[n:]
		}
	}
	return f.end()
}

// maxPart is how long a part may be so that its line stays below the 998 octets
// of RFC 5322 section 2.1.1, the longest field name included.
const maxPart = 700

func isBlank(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }

// runeStart is the largest index up to n at which s can be cut.
func runeStart(s string, n int) int {
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return n // not UTF-8 at all
}

// visible replaces the control characters of ASCII.
func visible(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c == 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}
