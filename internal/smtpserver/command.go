package smtpserver

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"strings"
	"unicode/utf8"
)

// Limits of a line in octets, CRLF included.
const (
	maxCommand = 2000
	maxAuth    = 12288    // RFC 4954 section 4
	maxFlood   = 64 << 10 // of a line that is too long: then the connection is closed
)

var (
	errLineTooLong = errors.New("line too long")
	errLongChunk   = errors.New("BDAT line too long") // what follows it is no command
	errFlood       = errors.New("line without end")
)

// A command is a line cut in two: the verb in upper case, and what follows the
// blank, without blanks around it.
type command struct{ verb, arg string }

func parseCommand(line string) command {
	line = strings.Trim(line, " \t")
	verb, arg := line, ""
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		verb, arg = line[:i], strings.TrimLeft(line[i:], " \t")
	}
	return command{strings.ToUpper(verb), arg}
}

// readLine reads a command; AUTH may be longer than others.
func (c *Conn) readLine() (string, error) {
	line, err := c.readLineUpTo(maxAuth)
	switch {
	case len(line) <= maxCommand-len("\r\n") || isVerb(line, "AUTH"):
		return line, err
	case isVerb(line, "BDAT"):
		return "", errLongChunk
	}
	return "", errLineTooLong
}

// readLineUpTo reads a line and returns it without its end, which may be a bare
// LF as many hand-made clients send it.
//
// A line that is longer than limit is dropped to its end: errLineTooLong, or
// errLongChunk. Without an end in sight: errFlood.
func (c *Conn) readLineUpTo(limit int) (string, error) {
	r := c.wire.r
	line, err := r.ReadSlice('\n')
	var long error
	switch {
	case err != bufio.ErrBufferFull && len(line) <= limit:
	case isVerb(string(line[:min(len(line), maxCommand)]), "BDAT"):
		long = errLongChunk
	default:
		long = errLineTooLong
	}
	for dropped := len(line); err == bufio.ErrBufferFull; dropped += len(line) {
		if dropped > maxFlood {
			return "", errFlood
		}
		line, err = r.ReadSlice('\n')
	}
	if err := cmp.Or(err, long); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))), nil
}

// isVerb reports whether a line is a command with this verb and an argument.
func isVerb(line, verb string) bool {
	line = strings.TrimLeft(line, " \t")
	return len(line) > len(verb) && strings.EqualFold(line[:len(verb)], verb) &&
		strings.IndexByte(" \t", line[len(verb)]) >= 0
}

// dispatch serves one command.
func (c *Conn) dispatch(cmd command) {
	c.verb, c.argument, c.to = cmd.verb, "", nil
	if c.tx == nil {
		c.from = nil
	}
	if bad := malformed(cmd); bad != "" {
		c.refuseMalformed(cmd, bad)
		return
	}
	if c.server.RequireTLS && c.tls == nil && !clearAllowed(cmd.verb) {
		c.refuse(cmd, answer{530, "5.7.0", "Must issue a STARTTLS command first"})
		return
	}
	switch cmd.verb {
	case "HELO", "EHLO":
		if c.helo != "" { // the first one is needed
			c.countJunk()
		}
		c.hello(cmd)
	case "MAIL":
		c.argument = cmd.arg
		c.mail(cmd.arg)
	case "RCPT":
		c.argument = cmd.arg
		c.rcpt(cmd.arg)
	case "DATA":
		c.data(cmd.arg)
	case "BDAT":
		c.argument = cmd.arg
		c.bdat(cmd)
	case "STARTTLS":
		c.startTLS(cmd.arg)
	case "AUTH":
		c.auth(cmd.arg)
	default:
		c.minor(cmd)
	}
}

// minor serves the commands that change little.
func (c *Conn) minor(cmd command) {
	switch cmd.verb {
	case "RSET":
		c.countJunk()
		c.rset(cmd.arg)
	case "NOOP":
		c.countJunk()
		c.reply(250, "2.0.0", "Ok")
	case "VRFY":
		c.countJunk()
		c.reply(502, "5.5.1", "VRFY command is disabled")
	case "EXPN":
		c.reply(502, "5.5.1", "EXPN command is disabled")
	case "HELP":
		c.countJunk()
		c.reply(214, "2.0.0", "Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT STARTTLS AUTH")
	case "QUIT":
		c.closing = true
		c.reply(221, "2.0.0", "Bye")
	default:
		c.verb = ""
		if foreign(cmd.verb) {
			c.hangUp()
		}
		c.reply(500, "5.5.2", "Error: command not recognized")
	}
}

// foreign reports whether a verb, in upper case, tells that the client does not
// speak SMTP, or not to us: a web browser or proxy that somebody made connect, TLS,
// the header of a message whose DATA was refused. What follows is of somebody
// else's choice and is not served.
func foreign(verb string) bool {
	switch verb {
	case "GET", "POST", "CONNECT":
		return true
	}
	return verb != "" && (verb[0] < 'A' || verb[0] > 'Z') || strings.Contains(verb, ":")
}

// rset serves RSET (RFC 5321 section 4.1.1.5).
func (c *Conn) rset(arg string) {
	if arg != "" {
		c.reply(501, "5.5.4", "Syntax: RSET")
		return
	}
	c.abort()
	c.reply(250, "2.0.0", "Ok")
}

// refuse answers a command that is not served. The octets that a BDAT command
// announces come all the same.
func (c *Conn) refuse(cmd command, a answer) {
	if cmd.verb == "BDAT" {
		c.refuseChunk(cmd.arg, a)
		return
	}
	c.answer(a)
}

// refuseMalformed answers a line that is no command. Nothing of it goes to the
// log.
func (c *Conn) refuseMalformed(cmd command, why string) {
	c.verb = ""
	if cmd.verb == "BDAT" {
		c.badChunk()
		return
	}
	if foreign(cmd.verb) {
		c.hangUp()
	}
	c.reply(500, "5.5.2", why)
}

// clearAllowed reports whether a command is served before TLS where TLS is
// required: RFC 3207 section 4.
func clearAllowed(verb string) bool {
	switch verb {
	case "HELO", "EHLO", "NOOP", "QUIT", "STARTTLS", "HELP":
		return true
	}
	return false
}

// countJunk counts a command that brings no message forward.
func (c *Conn) countJunk() {
	if c.junk++; c.junk > c.maxJunk() {
		c.errors++
	}
}

// malformed says why a line cannot be a command.
func malformed(cmd command) string {
	if cmd.verb == "" {
		return "Error: bad syntax"
	}
	for _, s := range [...]string{cmd.verb, cmd.arg} {
		for i := range len(s) {
			if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
				return "Error: control character in command"
			}
		}
		if !utf8.ValidString(s) {
			return "Error: bad UTF-8 syntax"
		}
	}
	return ""
}
