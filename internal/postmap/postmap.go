// Package postmap reads the text of lookup tables in the format of Postfix's
// postmap(1), in bounded memory and with the number of every line.
package postmap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// What a row or a text can be that has no pattern and value.
var (
	ErrNoLine   = errors.New("begins with a blank, but there is no line for it to go on with")
	ErrUnclosed = errors.New("a quote is not closed")
)

// Limits bound what is read, in octets.
type Limits struct {
	Row  int // of a row, with the lines that go on with it
	Text int // of everything
}

// A Scanner reads rows: a pattern, blanks, and a value on a line. A line that
// begins with a blank goes on with the one before. Empty lines and lines whose
// first character other than a blank is "#" do not count, not even between a line
// and what goes on with it. A pattern may be quoted, or have a quoted part with
// blanks in it.
//
// A Scanner is for one goroutine.
type Scanner struct {
	limits Limits
	r      *bufio.Reader
	line   int // physical lines read so far
	total  int // octets read so far

	text    string // the logical line, without line ends
	first   int    // the physical line it began on
	tooLong bool   // text was dropped
	err     error  // other than the end

	pending []byte // a physical line read ahead
	ahead   bool
}

// NewScanner returns a Scanner that reads r.
func NewScanner(r io.Reader, limits Limits) *Scanner {
	return &Scanner{limits: limits, r: bufio.NewReaderSize(r, 32<<10)}
}

// Scan goes to the next row. It is false at the end and at an error, which
// [Scanner.Err] tells.
func (s *Scanner) Scan() bool {
	var text []byte
	s.tooLong = false
	for {
		if !s.ahead && !s.read() {
			break
		}
		line := s.pending
		blank := bytes.TrimLeft(line, " \t\r\v\f")
		if len(blank) == 0 || blank[0] == '#' {
			s.ahead = false
			continue
		}
		if len(text) > 0 && !isBlank(line[0]) {
			break // it begins the next row, and stays read ahead
		}
		if len(text) == 0 {
			s.first = s.line
		}
		s.ahead = false
		s.tooLong = s.tooLong || len(text)+len(line) > s.limits.Row
		text = append(text, line[:min(len(line), s.limits.Row-len(text))]...)
	}
	s.text = string(text)
	return len(text) > 0
}

// Line is the line that the row begins on, counted from 1.
func (s *Scanner) Line() int { return s.first }

// Err is the error that ended the text, and the line it was met on; nil at the end
// of the text.
func (s *Scanner) Err() (line int, err error) { return s.line + 1, s.err }

// Row is the pattern and the value of the row, which may be empty. An error says
// what is wrong with the row; it repeats nothing of it.
func (s *Scanner) Row() (pattern, value string, err error) {
	switch {
	case s.tooLong:
		return "", "", fmt.Errorf("longer than %d octets", s.limits.Row)
	case isBlank(s.text[0]):
		return "", "", ErrNoLine
	}
	return cut(s.text)
}

// cut splits a row at the first blank that stands outside quotes.
func cut(text string) (pattern, value string, err error) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case isBlank(text[i]) && !quoted:
			return text[:i], strings.TrimSpace(text[i:]), nil
		}
	}
	if quoted {
		return "", "", ErrUnclosed
	}
	return text, "", nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }

// read reads a physical line into pending, cut to what a row may have and a
// little more.
func (s *Scanner) read() bool {
	if s.err != nil {
		return false
	}
	s.pending = s.pending[:0]
	for {
		part, err := s.r.ReadSlice('\n')
		s.total += len(part)
		if s.total > s.limits.Text {
			s.err = fmt.Errorf("the text is longer than %d octets", s.limits.Text)
			return false
		}
		if len(s.pending) <= s.limits.Row {
			s.pending = append(s.pending, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF && len(s.pending) == 0:
			return false
		case err != nil && err != io.EOF:
			s.err = err
			return false
		}
		s.line++
		s.pending = bytes.TrimRight(s.pending, "\r\n")
		s.ahead = true
		return true
	}
}
