package smtpserver

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// mail serves MAIL (RFC 5321 section 4.1.1.2).
func (c *Conn) mail(arg string) {
	switch {
	case c.helo == "":
		c.reply(503, "5.5.1", "Error: send HELO/EHLO first")
		return
	case c.tx != nil:
		c.reply(503, "5.5.1", "Error: nested MAIL command")
		return
	case c.server.RequireAuth && !c.authed:
		c.reply(530, "5.7.0", "Authentication required")
		return
	case !c.server.allows(mailing, c.ClientIP()):
		c.reply(450, "4.7.1", "Error: too much mail from "+c.ClientIP().String())
		return
	}
	path, rest, bad := splitPath(arg, "FROM:", answer{501, "5.5.4", "Syntax: MAIL FROM:<address>"}, badSender())
	if bad != nil {
		c.answer(*bad)
		return
	}
	params, bad := c.mailParams(rest)
	if bad != nil {
		c.answer(*bad)
		return
	}
	from, bad := reversePath(path, params.UTF8)
	if bad != nil {
		c.answer(*bad)
		return
	}
	c.from = &from
	tx, err := c.session.Mail(c.ctx, from, params)
	if err != nil {
		c.answer(c.answerFor(err, lookupFailure(from)))
		return
	}
	c.begin(tx, params.UTF8)
	c.reply(250, "2.1.0", "Ok")
}

// overshoot is how many recipients above the limit are refused without counting
// as errors, so that a client that pipelines a long list keeps its transaction.
const overshoot = 1000

// rcpt serves RCPT (RFC 5321 section 4.1.1.3).
func (c *Conn) rcpt(arg string) {
	switch {
	case c.tx == nil:
		c.reply(503, "5.5.1", "Error: need MAIL command")
		return
	case c.tx.chunks:
		c.reply(503, "5.5.1", "Error: RCPT after BDAT")
		return
	case !c.server.allows(naming, c.ClientIP()):
		c.reply(450, "4.7.1", "Error: too many recipients from "+c.ClientIP().String())
		return
	}
	c.tx.tried++
	path, rest, bad := splitPath(arg, "TO:", answer{501, "5.5.4", "Syntax: RCPT TO:<address>"}, badRecipient())
	if bad != nil {
		c.answer(*bad)
		return
	}
	to, bad := forwardPath(path, c.tx.utf8)
	if bad != nil {
		c.answer(*bad)
		return
	}
	c.to = &to
	params, bad := rcptParams(rest)
	if bad != nil {
		c.answer(*bad)
		return
	}
	if limit := cmp.Or(c.server.MaxRecipients, 1000); c.tx.recipients >= limit {
		if c.tx.tried > limit+overshoot {
			c.errors++
		}
		c.answerUncounted(answer{452, "4.5.3", "Error: too many recipients"})
		return
	}
	if err := c.tx.Rcpt(c.ctx, to, params); err != nil {
		c.answer(c.answerFor(err, lookupFailure(to)))
		return
	}
	c.tx.recipients++
	c.reply(250, "2.1.5", "Ok")
}

func badSender() answer    { return answer{501, "5.1.7", "Bad sender address syntax"} }
func badRecipient() answer { return answer{501, "5.1.3", "Bad recipient address syntax"} }

// splitPath reads the path behind FROM: or TO:. Without prefix or path the
// answer is syntax; a path that is none is malformed.
func splitPath(arg, prefix string, syntax, malformed answer) (path, rest string, bad *answer) {
	if len(arg) <= len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", "", new(syntax)
	}
	path, rest, err := address.ParsePath(arg[len(prefix):])
	if err != nil {
		return "", "", new(malformed)
	}
	return path, rest, nil
}

// reversePath reads the address of MAIL; "" is the null reverse-path.
func reversePath(path string, utf8 bool) (string, *answer) {
	if path == "" {
		return "", nil
	}
	return canonical(path, utf8, "Sender", badSender())
}

// forwardPath reads the address of RCPT.
func forwardPath(path string, utf8 bool) (string, *answer) {
	return canonical(path, utf8, "Recipient", badRecipient())
}

// canonical reads an address and prints it again, so that the rules judge what
// goes out later.
func canonical(path string, utf8 bool, which string, malformed answer) (string, *answer) {
	a, err := address.Parse(path)
	switch {
	case errors.Is(err, address.ErrMultipleAt):
		return "", &answer{553, malformed.status, malformed.text}
	case errors.Is(err, address.ErrNoDomain) && !strings.Contains(path, "@"):
		return "", &answer{504, "5.5.2", fmt.Sprintf("<%s>: %s address rejected: need fully-qualified address", path, which)}
	case err != nil:
		return "", new(malformed)
	case a.NeedsUTF8() && !utf8:
		return "", &answer{553, "5.6.7", fmt.Sprintf("<%s>: %s address rejected: SMTPUTF8 was not asked for", path, which)}
	}
	return a.String(), nil
}

// lookupFailure is the answer for trouble of the handler's own.
func lookupFailure(address string) answer {
	return answer{451, "4.3.0", "<" + address + ">: Temporary lookup failure"}
}
