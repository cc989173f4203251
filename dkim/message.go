package dkim

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/panelmail/panelmail/internal/rfc5322"
)

// A message is one whose header was read and found well-formed, and whose body is
// still to come.
type message struct {
	header *rfc5322.Header
	body   io.Reader
}

// readMessage reads the header of a message, and no further than the limit on headers
// demands.
func readMessage(ctx context.Context, r io.Reader) (*message, error) {
	in := &intake{ctx: ctx, r: r, room: rfc5322.DefaultOctets + 1}
	br := bufio.NewReader(rfc5322.NewCleaner(in, rfc5322.Unix))
	if start, _ := br.Peek(len(">From ")); bytes.HasPrefix(bytes.TrimPrefix(start, []byte(">")), []byte("From ")) {
		return nil, ErrMalformed // the separator of mailbox files, or a blank before the colon
	}
	h, err := rfc5322.ReadHeader(br, rfc5322.Limits{})
	if err != nil {
		return nil, refused(err)
	}
	if h.Malformed() != nil {
		return nil, ErrMalformed
	}
	in.open = true
	// The buffer of br is too small for bodies: hide its WriteTo.
	return &message{header: h, body: &blankCounter{r: struct{ io.Reader }{br}}}, nil
}

// refused turns an error of reading a message into one of this package.
func refused(err error) error {
	switch {
	case errors.Is(err, rfc5322.ErrTooLarge):
		return ErrHeaderTooLarge
	case errors.Is(err, rfc5322.ErrTooManyFields):
		return ErrTooManyFields
	case errors.Is(err, rfc5322.ErrBareCR), errors.Is(err, rfc5322.ErrNUL):
		return ErrLineEnds
	}
	return err
}

// checkFrom demands exactly one From field (RFC 5322 section 3.6). With two, readers
// show either.
func (m *message) checkFrom() error {
	switch m.header.Count("From") {
	case 0:
		return ErrNoFrom
	case 1:
		return nil
	}
	return ErrManyFrom
}

// An intake reads a message until its context is done, and its header only up to a
// limit.
type intake struct {
	ctx  context.Context
	r    io.Reader
	room int     // octets of header that may still be read
	tail [2]byte // the last two octets of header read
	open bool    // the header is over
}

func (in *intake) Read(p []byte) (int, error) {
	if err := in.ctx.Err(); err != nil {
		return 0, err
	}
	if in.open {
		return in.r.Read(p)
	}
	if in.room == 0 && in.tail == [2]byte{'\n', '\r'} {
		in.room = 1 // the header is as large as allowed, and this may be its blank line
	}
	if in.room == 0 {
		return 0, rfc5322.ErrTooLarge
	}
	n, err := in.r.Read(p[:min(len(p), in.room)])
	in.room -= n
	for _, octet := range p[max(0, n-2):n] {
		in.tail[0], in.tail[1] = in.tail[1], octet
	}
	return n, err
}

// maxBlankLines is how many line ends may follow one another in a body with nothing but
// blanks between. They have to be kept in memory until it is known whether text follows.
const maxBlankLines = 100_000

// A blankCounter ends a body with ErrBlankLines at too many blank lines in a row.
type blankCounter struct {
	r     io.Reader
	lines int // line ends since the last octet that is not blank
}

func (c *blankCounter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			i = len(rest) - 1
		}
		line := rest[:i+1]
		if len(bytes.Trim(line, " \t\r\n")) > 0 {
			c.lines = 0
		}
		if line[i] == '\n' {
			c.lines++
		}
		if c.lines > maxBlankLines {
			return 0, ErrBlankLines
		}
		rest = rest[i+1:]
	}
	return n, err
}
