package smtpserver

import (
	"bufio"
	"bytes"
	"io"
)

// A dotFramer finds content that ends with CRLF.CRLF, and undoes the stuffing of
// dots: RFC 5321 section 4.5.2. A line, here, begins after CRLF and nowhere
// else.
//
// It gives out parts of the read buffer, so what costs time is one search for
// CRLF-dot.
type dotFramer struct {
	r         *bufio.Reader
	given     int  // octets of the read buffer that were given out last
	lineStart bool // the next octet begins a line
	lastCR    bool // the last octet was CR
	ended     bool
}

func newDotFramer(r *bufio.Reader) *dotFramer { return &dotFramer{r: r, lineStart: true} }

func (f *dotFramer) next() ([]byte, error) {
	f.r.Discard(f.given) // they are in the buffer
	f.given = 0
	if f.lineStart && !f.ended {
		if err := f.dot(); err != nil {
			return nil, err
		}
	}
	if f.ended {
		return nil, io.EOF
	}
	run, err := window(f.r)
	if err != nil {
		return nil, err
	}
	switch i := bytes.Index(run, []byte("\r\n.")); {
	case f.lastCR && run[0] == '\n':
		run = run[:1]
	case i >= 0:
		run = run[:i+2]
	}
	n := len(run)
	f.lineStart = run[n-1] == '\n' && (n > 1 && run[n-2] == '\r' || n == 1 && f.lastCR)
	f.lastCR = run[n-1] == '\r'
	f.given = n
	return run, nil
}

// dot looks at the beginning of a line. A dot is dropped, and with nothing but
// CRLF behind it, it ends the content.
func (f *dotFramer) dot() error {
	b, err := f.r.Peek(1)
	if err != nil {
		return unexpected(err)
	}
	if b[0] != '.' {
		return nil
	}
	if b, err = f.r.Peek(2); err != nil {
		return unexpected(err)
	}
	drop := 1
	if b[1] == '\r' {
		if b, err = f.r.Peek(3); err != nil {
			return unexpected(err)
		}
		if b[2] == '\n' {
			f.ended, drop = true, 3
		}
	}
	f.r.Discard(drop) // they are in the buffer
	return nil
}

func (f *dotFramer) drain() error {
	for {
		switch _, err := f.next(); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// window is what the read buffer holds; if that is nothing, it waits for more.
func window(r *bufio.Reader) ([]byte, error) {
	if r.Buffered() == 0 {
		if _, err := r.Peek(1); err != nil {
			return nil, unexpected(err)
		}
	}
	return r.Peek(r.Buffered())
}

// unexpected keeps the end of the connection apart from the end of content.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
