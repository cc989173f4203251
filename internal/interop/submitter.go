package interop

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// A Submitter is a plain SMTP client that waits for each reply before it sends
// the next command. It is for one goroutine.
type Submitter struct {
	conn net.Conn
	r    *bufio.Reader
	out  []byte
	// Timeout is for one command or one message; NewSubmitter sets a minute.
	Timeout time.Duration
}

// A Refusal is a reply that was not positive.
type Refusal struct {
	Command string
	Reply   string // the last line
}

func (e *Refusal) Error() string { return e.Command + ": " + e.Reply }

// NewSubmitter connects to addr and says EHLO.
func NewSubmitter(ctx context.Context, addr string) (*Submitter, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Submitter{conn: c, r: bufio.NewReaderSize(c, 4<<10), Timeout: time.Minute}
	if _, err = s.expect("greeting", '2'); err == nil {
		_, err = s.Command("EHLO client.test")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// Command sends one line and returns the last line of a positive or
// intermediate reply; any other reply is a [*Refusal].
func (s *Submitter) Command(line string) (string, error) {
	s.out = append(append(s.out[:0], line...), "\r\n"...)
	if err := s.write(s.out); err != nil {
		return "", err
	}
	want := byte('2')
	if line == "DATA" {
		want = '3'
	}
	return s.expect(line, want)
}

// Send submits one message and returns the reply to the final dot. The content
// must be ready for the wire as [Stuffed] makes it. An error that is no
// [*Refusal] leaves open whether the message was taken.
func (s *Submitter) Send(from string, to []string, stuffed []byte) (string, error) {
	if _, err := s.Command("MAIL FROM:<" + from + ">"); err != nil {
		return "", err
	}
	for _, r := range to {
		if _, err := s.Command("RCPT TO:<" + r + ">"); err != nil {
			return "", err
		}
	}
	if _, err := s.Command("DATA"); err != nil {
		return "", err
	}
	if err := s.write(stuffed); err != nil {
		return "", err
	}
	return s.expect("end of data", '2')
}

// SendPipelined is [Submitter.Send] with MAIL, RCPT and DATA in one write (RFC
// 2920). A refused recipient refuses the message: the connection is then in the
// middle of a dialogue and of no further use.
func (s *Submitter) SendPipelined(from string, to []string, stuffed []byte) (string, error) {
	s.out = fmt.Appendf(s.out[:0], "MAIL FROM:<%s>\r\n", from)
	for _, r := range to {
		s.out = fmt.Appendf(s.out, "RCPT TO:<%s>\r\n", r)
	}
	s.out = append(s.out, "DATA\r\n"...)
	if err := s.write(s.out); err != nil {
		return "", err
	}
	for range 1 + len(to) {
		if _, err := s.expect("envelope", '2'); err != nil {
			return "", err
		}
	}
	if _, err := s.expect("DATA", '3'); err != nil {
		return "", err
	}
	if err := s.write(stuffed); err != nil {
		return "", err
	}
	return s.expect("end of data", '2')
}

// Quit says so and closes.
func (s *Submitter) Quit() error {
	_, err := s.Command("QUIT")
	if cerr := s.conn.Close(); err == nil {
		err = cerr
	}
	return err
}

// Close closes without a word.
func (s *Submitter) Close() error { return s.conn.Close() }

// Stuffed makes content with CRLF line ends ready for [Submitter.Send]: dots
// doubled at the start of lines, the final dot added.
func Stuffed(content []byte) []byte {
	c := bytes.ReplaceAll(content, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(c, []byte(".")) {
		c = append([]byte("."), c...)
	}
	if !bytes.HasSuffix(c, []byte("\r\n")) {
		c = append(c, "\r\n"...)
	}
	return append(c[:len(c):len(c)], ".\r\n"...)
}

func (s *Submitter) write(b []byte) error {
	if err := s.conn.SetDeadline(time.Now().Add(s.Timeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(b)
	return err
}

// expect reads one reply and returns its last line.
func (s *Submitter) expect(command string, class byte) (string, error) {
	for {
		text, err := s.r.ReadSlice('\n')
		if err != nil {
			return "", fmt.Errorf("reply to %s: %w", command, err)
		}
		if len(text) > 3 && text[3] == '-' {
			continue
		}
		line := strings.TrimRight(string(text), "\r\n")
		if line == "" || line[0] != class {
			return "", &Refusal{Command: command, Reply: line}
		}
		return line, nil
	}
}
