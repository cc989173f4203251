package blade

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// What a template may cost. It is far above what the records of a domain take,
// and little enough that no template keeps a processor or memory busy.
const (
	MaxSource  = 256 << 10 // octets of a template
	MaxString  = 64 << 10  // octets of a string that an expression makes
	MaxEntries = 10_000    // of an array
	MaxSteps   = 200_000   // evaluated parts of expressions; long strings and arrays count for several
	MaxNesting = 64        // blocks in blocks, parentheses in parentheses, arrays in arrays
)

// An Error says what is wrong with a template, where, and what to write instead.
type Error struct {
	Line   int  // from 1
	Column int  // in octets, from 1
	Limit  bool // it is about one of the limits
	Text   string
	Fix    string // the rest of "write …", or ""
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Text)
	if e.Fix != "" {
		text += "; write " + e.Fix
	}
	return text
}

// errLimit marks the errors for which [Error.Limit] is set.
var errLimit = errors.New("over a limit")

// A source is the text of a template and knows its lines.
type source struct {
	text  string
	lines []int // offset of each line's first octet
}

func newSource(text string) *source {
	s := &source{text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// position is the line and the column, both from one, of an offset.
func (s *source) position(offset int) (line, column int) {
	line = sort.SearchInts(s.lines, offset+1)
	return line, offset - s.lines[line-1] + 1
}

// errorf is an error at an offset. What stands behind "; write " in its text is
// what to write instead.
func (s *source) errorf(offset int, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	e := &Error{Limit: errors.Is(err, errLimit)}
	e.Line, e.Column = s.position(offset)
	e.Text, e.Fix, _ = strings.Cut(err.Error(), "; write ")
	return e
}

// limitf is an error at an offset about a limit.
func (s *source) limitf(offset int, format string, args ...any) error {
	return s.errorf(offset, "%w", over(format, args...))
}

// over is an error about a limit that gets its place elsewhere.
func over(format string, args ...any) error {
	return limitError(fmt.Sprintf(format, args...))
}

// A limitError is errLimit with its text.
type limitError string

func (e limitError) Error() string        { return string(e) }
func (e limitError) Is(target error) bool { return target == errLimit }

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) }
func isSpace(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r'
}
