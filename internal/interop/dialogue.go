package interop

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

// A dialogue is one connection to a sink.
type dialogue struct {
	sink *Sink
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	m    Message
}

// attach reads and writes c from now on.
func (d *dialogue) attach(c net.Conn) {
	d.conn = c
	d.r = bufio.NewReaderSize(c, 64<<10)
	d.w = bufio.NewWriterSize(c, 4<<10)
}

// run speaks until the client quits or the connection breaks.
func (d *dialogue) run() {
	if !d.reply("", "", "220 sink.test ESMTP") {
		return
	}
	for {
		if d.r.Buffered() == 0 && d.w.Flush() != nil {
			return
		}
		text, err := d.r.ReadSlice('\n')
		if err != nil {
			return
		}
		line := string(bytes.TrimRight(text, "\r\n"))
		word, arg, _ := strings.Cut(line, " ")
		if !d.command(strings.ToUpper(word), arg, line) {
			d.w.Flush()
			return
		}
	}
}

// command answers one command; false ends the dialogue.
func (d *dialogue) command(verb, arg, line string) bool {
	switch verb {
	case "EHLO", "LHLO":
		d.m.HELO = arg
		return d.reply(verb, line, d.capabilities())
	case "HELO":
		d.m.HELO = arg
		return d.reply(verb, line, "250 sink.test")
	case "MAIL":
		d.reset()
		d.m.Mail = arg
		return d.reply(verb, line, "250 2.1.0 Ok")
	case "RCPT":
		text := d.answer(verb, line, "250 2.1.5 Ok")
		if text[0] == '2' {
			d.m.Rcpt = append(d.m.Rcpt, arg)
		}
		return d.write(text)
	case "DATA":
		return d.data(line)
	case "STARTTLS":
		return d.startTLS(line)
	case "RSET":
		d.reset()
		return d.reply(verb, line, "250 2.0.0 Ok")
	case "NOOP":
		return d.reply(verb, line, "250 2.0.0 Ok")
	case "QUIT":
		d.reply(verb, line, "221 2.0.0 Bye")
		return false
	}
	return d.reply(verb, line, "502 5.5.2 Command not known")
}

func (d *dialogue) capabilities() string {
	text := "250-sink.test\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n"
	if d.sink.TLS != nil && !d.m.TLS {
		text += "250-STARTTLS\r\n"
	}
	return text + "250 ENHANCEDSTATUSCODES"
}

func (d *dialogue) reset() { d.m.Mail, d.m.Rcpt, d.m.Raw, d.m.Size = "", nil, nil, 0 }

// data takes a message, which ends with a dot between CRLFs and in no other
// way.
func (d *dialogue) data(line string) bool {
	if len(d.m.Rcpt) == 0 {
		return d.reply("DATA", line, "554 5.5.1 No valid recipients")
	}
	text := d.answer("DATA", line, "354 Go on")
	if !d.write(text) || d.w.Flush() != nil {
		return false
	}
	if text[0] != '3' {
		return true
	}
	if !d.body() {
		return false
	}
	text = d.answer(".", ".", "250 2.0.0 Ok")
	if text[0] == '2' {
		d.sink.accepted(d.m)
	}
	d.reset()
	return d.write(text)
}

// body reads up to the end of data; false says that the connection broke.
func (d *dialogue) body() bool {
	crlf := true // the last piece ended in CRLF, so the next begins a line
	for {
		piece, err := d.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return false
		}
		if crlf && string(piece) == ".\r\n" {
			return true
		}
		crlf = bytes.HasSuffix(piece, []byte("\r\n"))
		d.m.Size += len(piece)
		if !d.sink.Discard {
			d.m.Raw = append(d.m.Raw, piece...)
		}
	}
}

func (d *dialogue) startTLS(line string) bool {
	if d.sink.TLS == nil || d.m.TLS {
		return d.reply("STARTTLS", line, "502 5.5.1 TLS not available")
	}
	text := d.answer("STARTTLS", line, "220 2.0.0 Ready")
	if !d.write(text) || d.w.Flush() != nil || text[0] != '2' {
		return text[0] != '2'
	}
	c := tls.Server(d.conn, d.sink.TLS)
	if c.Handshake() != nil {
		return false
	}
	d.attach(c)
	d.m = Message{Peer: d.m.Peer, TLS: true}
	return true
}

// reply writes the answer to a command; false ends the dialogue.
func (d *dialogue) reply(verb, line, text string) bool {
	return d.write(d.answer(verb, line, text))
}

// answer is what to say to a command: the test's wish or else the given text.
func (d *dialogue) answer(verb, line, text string) string {
	if d.sink.Answer != nil {
		if own := d.sink.Answer(verb, line); own != "" {
			return own
		}
	}
	return text
}

func (d *dialogue) write(text string) bool {
	if text == Drop {
		return false
	}
	d.w.WriteString(text)
	_, err := d.w.WriteString("\r\n")
	return err == nil
}
