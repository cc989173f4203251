package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ParseMap reads a transport map as text, in the format of Postfix's
// transport(5) and postmap(1): a pattern, blanks, and a value on a line; a line
// that begins with a blank goes on with the one before; empty lines and lines
// whose first character other than a blank is "#" do not count, not even
// between a line and what goes on with it. A quoted local-part may contain
// blanks.
//
// All problems are reported at once, as joined errors of type [*MapError] which
// name the table and the line; there is no table then. Of two rows with the same
// pattern the first counts and the other is a warning (see [Table.Warnings]).
// A row may have 8 KiB, the text 64 MiB and 1,048,576 rows. Of more than 100
// problems the rest is only counted.
func ParseMap(name string, r io.Reader) (*Table, error) {
	t := &Table{name: name, rows: make(map[string]row)}
	var problems problems
	sc := lineScanner{r: bufio.NewReaderSize(r, 32<<10)}
	for sc.next() {
		pattern, err := t.addLine(sc.text, sc.first, sc.tooLong)
		if err != nil {
			problems.add(&MapError{Name: name, Line: sc.first, Pattern: pattern, Err: err})
		}
		if errors.Is(err, errTooManyRows) {
			break
		}
	}
	if sc.err != nil {
		problems.add(&MapError{Name: name, Line: sc.line + 1, Err: sc.err})
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// addLine puts in one logical line.
func (t *Table) addLine(text string, line int, tooLong bool) (pattern string, err error) {
	if tooLong {
		return "", errTooLong
	}
	if isBlank(text[0]) {
		return "", errors.New("begins with a blank, but there is no line for it to go on with")
	}
	pattern, value, err := cutPattern(text)
	if err != nil {
		return "", err
	}
	if value == "" {
		return pattern, errNoValue
	}
	return pattern, t.add(pattern, value, line)
}

// cutPattern splits a line at the first blank that stands outside quotes.
func cutPattern(text string) (pattern, value string, err error) {
	quoted := false
	i := 0
	for ; i < len(text); i++ {
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
		return "", "", errors.New("a quote is not closed")
	}
	return text, "", nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }

// A lineScanner reads logical lines.
type lineScanner struct {
	r     *bufio.Reader
	line  int // physical lines read so far
	total int // octets read so far

	text    string // the logical line, without line ends
	first   int    // the physical line it began on
	tooLong bool   // text was dropped
	err     error  // other than the end

	pending []byte // a physical line read ahead
	ahead   bool
}

// next reads the next logical line that is not empty.
func (s *lineScanner) next() bool {
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
			break // it begins the next logical line, and stays read ahead
		}
		if len(text) == 0 {
			s.first = s.line
		}
		s.ahead = false
		s.tooLong = s.tooLong || len(text)+len(line) > maxEntry
		text = append(text, line[:min(len(line), maxEntry-len(text))]...)
	}
	s.text = string(text)
	return len(text) > 0
}

// read reads a physical line into pending, cut to what a row may have and a
// little more.
func (s *lineScanner) read() bool {
	if s.err != nil {
		return false
	}
	s.pending = s.pending[:0]
	for {
		part, err := s.r.ReadSlice('\n')
		s.total += len(part)
		if s.total > maxMap {
			s.err = fmt.Errorf("the text is longer than %d octets", maxMap)
			return false
		}
		if len(s.pending) <= maxEntry {
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
