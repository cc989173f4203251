package smtpclient

import (
	"bytes"
	"fmt"
	"io"
)

// A body reads content block by block and sees that each is fit for the wire
// before any of it gets there.
type body struct {
	src  io.Reader
	buf  []byte // blockSize
	held bool   // buf[0] is a CR held back from the end of the block before

	total    int64 // octets read
	declared int64 // the envelope's Size: fewer are not the whole message

	block []byte // what next found
	last  bool   // nothing follows block

	// Octets from 0x80 on that the peer cannot take.
	noEight  bool // anywhere
	noUTF8   bool // in the header
	inHeader bool
	line     int // octets in the line so far, kept while in the header
}

// newBody prepares to read content for the present peer. A message that claims to
// need an extension the peer lacks is judged by what is in it.
func (c *Client) newBody(e *Envelope, content io.Reader) *body {
	_, eight := c.ext["8BITMIME"]
	_, utf8 := c.ext["SMTPUTF8"]
	return &body{
		src: content, buf: c.block, declared: e.Size,
		noEight: !eight, noUTF8: e.SMTPUTF8 && !utf8, inHeader: true,
	}
}

// next reads the next block. A CR at its end waits for the LF: whether it is bare
// is not known yet. The error is a [*ContentError] or an [*Unsendable].
func (b *body) next() error {
	n := 0
	if b.held {
		b.buf[0], n = '\r', 1
	}
	for n < len(b.buf) && !b.last {
		m, err := b.src.Read(b.buf[n:])
		n += m
		b.total += int64(m)
		switch {
		case err == io.EOF: // and no error that wraps it: a torn source is not at its end
			b.last = true
		case err != nil:
			return &ContentError{err}
		}
	}
	if b.last && b.total < b.declared {
		return &ContentError{fmt.Errorf("%d octets where %d were declared", b.total, b.declared)}
	}
	b.block = b.buf[:n]
	if b.held = !b.last && b.block[len(b.block)-1] == '\r'; b.held {
		b.block = b.block[:len(b.block)-1]
	}
	return b.check()
}

// check refuses what would be read in two ways, by us and by some server beyond
// (SMTP smuggling), and what the peer did not promise to carry.
func (b *body) check() error {
	ends := bytes.Count(b.block, []byte("\r\n"))
	switch {
	case bytes.Count(b.block, []byte{'\r'}) != ends:
		return &ContentError{ErrBareCR}
	case bytes.Count(b.block, []byte{'\n'}) != ends:
		return &ContentError{ErrBareLF}
	case bytes.IndexByte(b.block, 0) >= 0:
		return &ContentError{ErrNUL}
	case !b.noEight && !b.noUTF8:
		return nil
	}
	return b.checkASCII()
}

func (b *body) checkASCII() error {
	for _, c := range b.block {
		switch {
		case c >= 0x80 && b.noUTF8 && b.inHeader:
			return needsUTF8()
		case c >= 0x80 && b.noEight:
			return &Unsendable{Reply{554, [3]int{5, 6, 3}, "the message has 8-bit content and the next hop does not offer 8BITMIME"}}
		case c == '\n':
			if b.line == len("\r") {
				b.inHeader = false
			}
			b.line = 0
		default:
			b.line++
		}
	}
	return nil
}

// A stuffer writes content as DATA wants it: a line that begins with a dot gets
// another (RFC 5321 section 4.5.2).
type stuffer struct {
	w      io.Writer
	inLine bool
}

func (s *stuffer) write(block []byte) error {
	if len(block) == 0 {
		return nil
	}
	if !s.inLine && block[0] == '.' {
		s.w.Write(dot()) // its error is the next write's too: w is a bufio.Writer
	}
	for {
		i := bytes.Index(block, []byte("\n."))
		if i < 0 {
			break
		}
		s.w.Write(block[:i+1])
		s.w.Write(dot())
		block = block[i+1:]
	}
	s.inLine = block[len(block)-1] != '\n'
	_, err := s.w.Write(block)
	return err
}

// end completes the last line and writes the final dot.
func (s *stuffer) end() error {
	end := ".\r\n"
	if s.inLine {
		end = "\r\n" + end
	}
	_, err := io.WriteString(s.w, end)
	return err
}

func dot() []byte { return []byte{'.'} }
