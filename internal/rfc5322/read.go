package rfc5322

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits bound what [ReadHeader] takes.
type Limits struct {
	Octets int // of all fields together, line ends included; if zero, 102,400
	Fields int // if zero, 1,000
}

// The defaults of [Limits]. Signing and verifying cost more than linear time in
// the size of the header, so it must not be left to the peer.
const (
	DefaultOctets = 100 << 10
	DefaultFields = 1000
)

// ReadHeader reads the header block up to and including the blank line, and
// leaves r at the body. Lines end in CRLF or LF.
//
// A line that is neither a field, nor the continuation of one, nor blank begins
// the body: the header ends before it and r still has it (see
// [Header.Malformed]). So does a continuation line with no field above it. The
// same goes for the end of r. A mailbox separator ("From " or ">From ", without a
// colon behind the first word) above the first field is not part of the message
// and is dropped.
//
// A header above the limits gives ErrTooLarge or ErrTooManyFields; an error of r
// other than io.EOF is returned as it is. With an error there is no header, and r
// stands somewhere inside it.
func ReadHeader(r *bufio.Reader, lim Limits) (*Header, error) {
	if lim.Octets == 0 {
		lim.Octets = DefaultOctets
	}
	if lim.Fields == 0 {
		lim.Fields = DefaultFields
	}
	if err := dropMailboxLine(r); err != nil {
		return nil, err
	}
	// Room for the header of most messages.
	s := scanner{r: r, lim: lim, buf: make([]byte, 0, 1024), starts: make([]int, 0, 16)}
	h := new(Header)
	for {
		kind, err := peekLine(r)
		if err != nil {
			return nil, err
		}
		switch {
		case kind == lineBlank:
			end, err := r.ReadSlice('\n')
			h.end = string(end)
			h.fields = s.fields()
			h.blankName = hasBlankName(h.fields)
			return h, err
		case kind == lineField, kind == lineContinuation && len(s.starts) > 0:
			if err := s.take(kind); err != nil {
				return nil, err
			}
		default:
			h.unclosed = true
			h.fields = s.fields()
			h.blankName = hasBlankName(h.fields)
			return h, nil
		}
	}
}

// A scanner collects the lines of a header within limits.
type scanner struct {
	r      *bufio.Reader
	lim    Limits
	buf    []byte // all lines so far
	starts []int  // where in buf each field begins
}

// take moves the next line from r to buf.
func (s *scanner) take(kind lineKind) error {
	if kind == lineField {
		if len(s.starts) == s.lim.Fields {
			return fmt.Errorf("%w: more than %d", ErrTooManyFields, s.lim.Fields)
		}
		s.starts = append(s.starts, len(s.buf))
	}
	for {
		part, err := s.r.ReadSlice('\n')
		if len(s.buf)+len(part) > s.lim.Octets {
			return fmt.Errorf("%w: more than %d octets", ErrTooLarge, s.lim.Octets)
		}
		s.buf = append(s.buf, part...)
		switch {
		case err == nil:
			return nil
		case err == io.EOF:
			s.buf = append(bytes.TrimRight(s.buf, "\r"), "\r\n"...) // so that another line can follow
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// fields cuts buf where the fields begin.
func (s *scanner) fields() []Field {
	fields := make([]Field, len(s.starts))
	for i, start := range s.starts {
		end := len(s.buf)
		if i+1 < len(s.starts) {
			end = s.starts[i+1]
		}
		raw := s.buf[start:end:end]
		fields[i] = Field{raw: raw, colon: bytes.IndexByte(raw, ':')}
	}
	return fields
}

func hasBlankName(fields []Field) bool {
	for _, f := range fields {
		if len(f.name()) != f.colon {
			return true
		}
	}
	return false
}

// lineKind is what a line of a header block can be.
type lineKind int

const (
	lineOther        lineKind = iota // no part of a header
	lineField                        // begins a field
	lineContinuation                 // goes on with the field above
	lineBlank                        // ends the header
	lineUnknown                      // more of it must be seen
)

// peekLine tells the kind of the next line of r without reading it. A field whose
// colon does not fit into the buffer of r is none.
func peekLine(r *bufio.Reader) (lineKind, error) {
	for n := 1; ; n = r.Buffered() + 1 {
		_, err := r.Peek(n)
		ahead, _ := r.Peek(r.Buffered())
		kind := classify(ahead)
		switch {
		case kind != lineUnknown:
			return kind, nil
		case err == io.EOF, err == bufio.ErrBufferFull, r.Buffered() == r.Size():
			return lineOther, nil
		case err != nil:
			return lineOther, err
		}
	}
}

// classify tells the kind of the line that b begins with, of which b may hold
// only a part. A field begins with a name of printable ASCII and a colon
// (RFC 5322 section 2.2); blanks between them are obsolete (section 4.5).
func classify(b []byte) lineKind {
	switch {
	case len(b) == 0:
		return lineUnknown
	case b[0] == '\n', len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return lineBlank
	case len(b) == 1 && b[0] == '\r':
		return lineUnknown
	case b[0] == ' ', b[0] == '\t':
		return lineContinuation
	}
	name := 0
	for name < len(b) && '!' <= b[name] && b[name] <= '~' && b[name] != ':' {
		name++
	}
	after := name
	for after < len(b) && (b[after] == ' ' || b[after] == '\t') {
		after++
	}
	switch {
	case name == 0:
		return lineOther
	case after == len(b):
		return lineUnknown
	case b[after] == ':':
		return lineField
	}
	return lineOther
}

// dropMailboxLine reads away the line that separates messages in a mailbox file,
// if r begins with one.
func dropMailboxLine(r *bufio.Reader) error {
	ahead, err := r.Peek(len(">From "))
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return err
	}
	ahead = bytes.TrimPrefix(ahead, []byte(">"))
	if !bytes.HasPrefix(ahead, []byte("From ")) {
		return nil
	}
	kind, err := peekLine(r)
	if err != nil || kind != lineOther {
		return err // "From :", an obsolete spelling of the field
	}
	for {
		if _, err := r.ReadSlice('\n'); err == nil || err == io.EOF {
			return nil
		} else if err != bufio.ErrBufferFull {
			return err
		}
	}
}
