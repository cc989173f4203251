package smtpserver

import (
	"fmt"
	"strings"
)

// hello serves HELO and EHLO (RFC 5321 section 4.1.1.1). Both end a transaction.
//
// The name may be anything printable: half of the world's clients cannot say
// what they are called. What stands after a blank is dropped. The replies have no
// enhanced codes, even when they refuse: RFC 2034 section 4.
func (c *Conn) hello(cmd command) {
	name, _, _ := strings.Cut(cmd.arg, " ")
	if name == "" {
		c.reply(501, "", "Syntax: "+cmd.verb+" hostname")
		return
	}
	if len(name) > 255 {
		c.reply(501, "", "Error: hostname too long")
		return
	}
	c.abort()
	c.helo = asciiName(name)
	c.esmtp = cmd.verb == "EHLO"
	if !c.esmtp {
		c.reply(250, "", c.server.Hostname)
		return
	}
	c.reply(250, "", strings.Join(append([]string{c.server.Hostname}, c.extensions()...), "\n"))
}

func asciiName(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}

// extensions is the list in the reply to EHLO.
func (c *Conn) extensions() []string {
	list := []string{"PIPELINING", fmt.Sprintf("SIZE %d", c.server.maxSize())}
	if c.server.TLS != nil && c.tls == nil {
		list = append(list, "STARTTLS")
	}
	if m := c.mechanisms(); len(m) > 0 && c.authAllowed() {
		list = append(list, "AUTH "+strings.Join(m, " "))
	}
	list = append(list, "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8")
	if c.requireTLSOffered() {
		list = append(list, "REQUIRETLS")
	}
	return append(list, "CHUNKING")
}

func (c *Conn) requireTLSOffered() bool { return c.server.OfferRequireTLS && c.tls != nil }
