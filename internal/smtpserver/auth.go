package smtpserver

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
)

// mechanisms are those of the session, if it has any.
func (c *Conn) mechanisms() []string {
	if a, ok := c.session.(Authenticator); ok {
		return a.Mechanisms()
	}
	return nil
}

func (c *Conn) authAllowed() bool { return c.tls != nil || c.server.AuthWithoutTLS }

// auth serves AUTH (RFC 4954).
func (c *Conn) auth(arg string) {
	name, initial, _ := strings.Cut(arg, " ")
	initial = strings.TrimSpace(initial)
	name = strings.ToUpper(name)
	mechanisms := c.mechanisms()
	switch {
	case c.helo == "":
		c.reply(503, "5.5.1", "Error: send HELO/EHLO first")
	case len(mechanisms) == 0:
		c.reply(503, "5.5.1", "Error: authentication not enabled")
	case c.tx != nil:
		c.reply(503, "5.5.1", "Error: MAIL transaction in progress")
	case c.authed:
		c.reply(503, "5.5.1", "Error: already authenticated")
	case !c.authAllowed():
		c.reply(538, "5.7.11", "Encryption required for requested authentication mechanism")
	case !c.server.allows(loggingIn, c.ClientIP()):
		c.reply(450, "4.7.1", "Error: too many AUTH commands from "+c.ClientIP().String())
	case name == "" || strings.ContainsAny(initial, " \t"):
		c.reply(501, "5.5.4", "Syntax: AUTH mechanism")
	case !slices.Contains(mechanisms, name):
		c.reply(504, "5.5.4", "Error: unknown authentication mechanism")
	default:
		c.exchange(name, initial)
	}
}

// exchange is the dialogue of challenges and responses.
func (c *Conn) exchange(mechanism, initial string) {
	server, err := c.session.(Authenticator).Auth(c.ctx, mechanism)
	if err != nil {
		c.authFailed(err)
		return
	}
	response, ok := decodeInitial(initial)
	for {
		if !ok {
			c.reply(501, "5.5.2", "Error: malformed authentication response")
			return
		}
		challenge, done, err := server.Next(response)
		switch {
		case err != nil:
			c.authFailed(err)
			return
		case done:
			c.authed = true
			c.reply(235, "2.7.0", "Authentication successful")
			return
		}
		line, got := c.ask(challenge)
		switch {
		case !got:
			return
		case line == "*":
			c.reply(501, "5.7.0", "Authentication aborted")
			return
		}
		response, ok = decodeBase64(line)
	}
}

// ask sends a challenge and reads the line that answers it.
func (c *Conn) ask(challenge []byte) (line string, ok bool) {
	c.write(answer{334, "", base64.StdEncoding.EncodeToString(challenge)})
	c.wire.await(0)
	line, err := c.readLineUpTo(maxAuth)
	switch {
	case errors.Is(err, errLineTooLong):
		c.reply(500, "5.5.6", "Error: authentication response too long")
		return "", false
	case err != nil:
		c.lost(err)
		return "", false
	}
	return line, true
}

// accountDisabled is for whoever has proved to be one who may not come in (X.7.13 in the
// registry of RFC 5248).
const accountDisabled = 525

// authFailed says the same whatever was wrong, so that nobody learns which
// logins exist. It is for the session to log it: it knows the login.
func (c *Conn) authFailed(err error) {
	a := answer{535, "5.7.8", "Error: authentication failed"}
	var r interface {
		SMTPReply() (code int, enhanced [3]int, text string)
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		a = answer{454, "4.7.0", "Temporary authentication failure"}
	case errors.As(err, &r):
		if code, enhanced, text := r.SMTPReply(); 400 <= code && code <= 499 || code == accountDisabled {
			a = answer{code, enhancedStatus(code, enhanced), text}
		}
	}
	if a.code == 535 {
		c.authFailures++
	}
	c.errors++
	if a.code != 421 { // which gives the connection to somebody else
		c.sleep()
	}
	c.answerUnlogged(a)
	if !c.closing && c.authFailures >= cmp.Or(c.server.MaxAuthFailures, 5) {
		c.fatal("4.7.0", "Error: too many errors")
	}
}

// decodeInitial decodes an initial response; nil is none, and "=" an empty one.
func decodeInitial(s string) ([]byte, bool) {
	switch s {
	case "":
		return nil, true
	case "=":
		return []byte{}, true
	}
	return decodeBase64(s)
}

// decodeBase64 decodes a response; it is not nil.
func decodeBase64(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") { // which the decoder would skip
		return nil, false
	}
	b, err := base64.StdEncoding.AppendDecode([]byte{}, []byte(s))
	return b, err == nil
}
