package smtpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxReplyLine is the length of a line of a reply without CRLF: RFC 5321 section
// 4.5.3.1.5.
const maxReplyLine = 510

// An answer is a reply to be written. status is the enhanced code (RFC 3463);
// "" where RFC 2034 has none.
type answer struct {
	code   int
	status string
	text   string // lines separated by "\n"
}

// An answer is also an error, so that readers of content can return it.
func (a answer) Error() string { return strings.TrimSpace(a.status + " " + a.text) }

// SMTPReply implements what [Handler] says about errors.
func (a answer) SMTPReply() (code int, enhanced [3]int, text string) {
	// Statuses are constants or come from enhancedStatus: they do parse.
	fmt.Sscanf(a.status, "%d.%d.%d", &enhanced[0], &enhanced[1], &enhanced[2])
	return a.code, enhanced, a.text
}

// answerFor is the reply for an error of the handler: [Handler] has the rules.
// general is the reply that tells nothing; the detail is logged with it.
func (c *Conn) answerFor(err error, general answer) answer {
	var r interface {
		SMTPReply() (code int, enhanced [3]int, text string)
	}
	if errors.As(err, &r) {
		if code, enhanced, text := r.SMTPReply(); 400 <= code && code <= 599 {
			return answer{code, enhancedStatus(code, enhanced), text}
		}
	}
	c.log(slog.LevelError, "handler failed", slog.String("command", c.verb), slog.Any("error", err))
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return answer{421, "4.3.2", c.server.Hostname + " Service not available"}
	}
	return general
}

// enhancedStatus prints an enhanced code under the class of the reply code.
func enhancedStatus(code int, e [3]int) string {
	if e[0] == 0 {
		e[1], e[2] = 0, 0
	}
	return fmt.Sprintf("%d.%d.%d", code/100, min(max(e[1], 0), 999), min(max(e[2], 0), 999))
}

// reply answers a command and keeps the count of errors.
func (c *Conn) reply(code int, status, text string) { c.answer(answer{code, status, text}) }

func (c *Conn) answer(a answer) {
	c.answerUncounted(a)
	if a.code >= 400 {
		c.errors++
	}
}

// answerUncounted answers a command without counting an error.
func (c *Conn) answerUncounted(a answer) {
	if c.errors >= cmp.Or(c.server.SoftErrors, 10) {
		c.sleep()
	}
	if a.code >= 400 {
		c.logRefusal(a)
	}
	c.answerUnlogged(a)
}

// answerUnlogged answers, and closes the connection if the reply says so.
func (c *Conn) answerUnlogged(a answer) {
	if a.code == 421 || a.code == 521 {
		c.hangUp()
	}
	c.write(a)
}

// sleep is the penalty for errors.
func (c *Conn) sleep() {
	d := cmp.Or(c.server.ErrorSleep, time.Second)
	if d > 0 && c.wire.w.Flush() == nil {
		pause(c.ctx, d)
	}
}

// write puts a reply into the write buffer.
func (c *Conn) write(a answer) {
	rest, more := a.text, true
	for more {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		b := strconv.AppendInt(c.wire.w.AvailableBuffer(), int64(a.code), 10)
		if more {
			b = append(b, '-')
		} else {
			b = append(b, ' ')
		}
		if a.status != "" {
			b = append(append(b, a.status...), ' ')
		}
		b = appendText(b, line)
		c.wire.w.Write(append(b, "\r\n"...)) // an error stays with the buffer and ends the next read
	}
}

// appendText adds one line of text. Control characters, octets outside ASCII and
// what exceeds the longest line do not go on the wire.
func appendText(b []byte, line string) []byte {
	line = strings.TrimRight(line, "\r ")
	for i := 0; i < len(line) && len(b) < maxReplyLine; i++ {
		c := line[i]
		if c < ' ' || c >= 0x7f {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

// logRefusal writes the line about a refused command. What an unknown command
// says is left out, for it may be a password that came at the wrong moment; AUTH
// has no arguments in c.argument.
func (c *Conn) logRefusal(a answer) {
	attrs := []slog.Attr{
		slog.String("command", c.verb),
		slog.String("argument", printable(c.argument, 512)),
		slog.String("reply", strconv.Itoa(a.code)+" "+printable(a.Error(), maxReplyLine)),
		slog.String("proto", c.Protocol()),
	}
	if c.from != nil {
		attrs = append(attrs, slog.String("from", *c.from))
	}
	if c.to != nil {
		attrs = append(attrs, slog.String("to", *c.to))
	}
	c.log(slog.LevelInfo, "command refused", attrs...)
}

// log writes a line about this connection.
func (c *Conn) log(level slog.Level, message string, attrs ...slog.Attr) {
	l := c.server.log()
	if !l.Enabled(c.ctx, level) {
		return
	}
	attrs = append([]slog.Attr{
		slog.String("client", clientName(c.wire.raw)),
		slog.String("helo", c.helo),
	}, attrs...)
	l.LogAttrs(c.ctx, level, message, attrs...)
}

// printable is s with question marks for control characters and what is not
// UTF-8, cut to n octets.
func printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || 0x80 <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}
