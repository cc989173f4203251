package smtpserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
)

// A Conn is a connection, for a [Session] to ask about. Its methods are called
// by the goroutine that calls the session.
type Conn struct {
	ctx    context.Context // lives as long as the connection
	server *Server
	wire   *wire
	hurry  bool // the server has hardly room for more connections

	session Session
	tls     *tls.ConnectionState
	helo    string
	esmtp   bool
	authed  bool
	tx      *transaction // nil: none

	verb, argument string   // of the command being served, for the log
	from, to       *string  // what it names of an envelope, for the log; nil: nothing
	pending        *command // read, but not served yet

	errors, junk, authFailures int

	closing   bool // no more commands
	lingering bool // the close must not overtake the last reply
}

// A transaction is what the dialogue knows about a [Transaction].
type transaction struct {
	Transaction
	utf8       bool
	tried      int  // RCPT commands
	recipients int  // those accepted
	chunks     bool // in BDAT: Data has been called and has not returned
}

func newConn(ctx context.Context, s *Server, nc net.Conn, hurry bool) *Conn {
	timeout := s.timeout()
	if hurry {
		timeout = s.hurried()
	}
	return &Conn{ctx: ctx, server: s, wire: newWire(nc, timeout), hurry: hurry}
}

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.wire.raw.RemoteAddr() }

// LocalAddr is the address the client has connected to.
func (c *Conn) LocalAddr() net.Addr { return c.wire.raw.LocalAddr() }

// ClientIP is the client's IP address; not valid on a Unix socket.
func (c *Conn) ClientIP() netip.Addr { return clientIP(c.wire.raw) }

// TLS is the state of TLS; nil on a clear connection.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// HELO is what the client called itself in HELO or EHLO: printable ASCII, not
// checked otherwise. It is empty before, and again after STARTTLS.
func (c *Conn) HELO() string { return c.helo }

// ESMTP reports whether the client said EHLO.
func (c *Conn) ESMTP() bool { return c.esmtp }

// Authenticated reports whether an AUTH command has succeeded.
func (c *Conn) Authenticated() bool { return c.authed }

// Pipelined reports whether the client has sent more than the command being served.
func (c *Conn) Pipelined() bool { return c.wire.r.Buffered() > 0 }

// NetConn is the connection below TLS, for what the kernel knows about the peer.
// It must not be read from or written to.
func (c *Conn) NetConn() net.Conn { return c.wire.raw }

// Protocol is the word for the with clause of a Received field: SMTP, ESMTP,
// ESMTPS, ESMTPA or ESMTPSA (RFC 3848), in a transaction with SMTPUTF8 UTF8SMTP
// with the same endings (RFC 6531 section 4.3).
func (c *Conn) Protocol() string {
	word := "SMTP"
	switch {
	case c.tx != nil && c.tx.utf8:
		word = "UTF8SMTP"
	case c.esmtp:
		word = "ESMTP"
	}
	if word == "SMTP" {
		return word
	}
	if c.tls != nil {
		word += "S"
	}
	if c.authed {
		word += "A"
	}
	return word
}

// clientName names a peer in the log.
func clientName(nc net.Conn) string {
	if ip := clientIP(nc); ip.IsValid() {
		return ip.String()
	}
	return nc.RemoteAddr().Network()
}

// serve is the whole dialogue.
func (c *Conn) serve() {
	defer c.close()
	defer c.recovered()
	if c.server.ImplicitTLS && !c.implicitTLS() {
		return
	}
	session, err := c.server.Handler.NewSession(c.ctx, c)
	if err != nil {
		c.hangUp()
		c.answer(c.answerFor(err, answer{421, "4.3.0", c.server.Hostname + " Service not available"}))
		return
	}
	c.session = session
	c.write(answer{220, "", c.server.Hostname + " " + cmp.Or(c.server.Greeting, "ESMTP")})
	for !c.closing {
		if cmd, ok := c.nextCommand(); ok {
			c.dispatch(cmd)
		}
	}
}

// nextCommand reads a command, unless the connection has come to its end.
func (c *Conn) nextCommand() (command, bool) {
	if cmd := c.pending; cmd != nil {
		c.pending = nil
		return *cmd, true
	}
	switch {
	case c.wire.stopped():
		c.fatal("4.3.2", "Service shutting down")
		return command{}, false
	case c.errors >= c.maxErrors():
		c.fatal("4.7.0", "Error: too many errors")
		return command{}, false
	}
	if c.tx == nil || !c.tx.chunks { // between chunks it is the content that takes time
		c.wire.await(0)
	}
	line, err := c.readLine()
	switch {
	case err == nil:
		return parseCommand(line), true
	case errors.Is(err, errLineTooLong):
		c.verb, c.argument = "", ""
		c.reply(500, "5.5.2", "Error: line too long")
		return command{}, false
	case errors.Is(err, errLongChunk):
		c.badChunk()
		return command{}, false
	default:
		c.lost(err)
		return command{}, false
	}
}

// lost ends the dialogue after the connection failed in a read. What was not
// received is never served.
func (c *Conn) lost(err error) {
	switch {
	case c.closing:
	case errors.Is(err, errFlood):
		c.verb, c.argument = "", ""
		c.hangUp()
		c.reply(500, "5.5.2", "Error: line too long")
	case c.wire.stopped():
		c.fatal("4.3.2", "Service shutting down")
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.fatal("4.4.2", "Error: timeout exceeded")
	default:
		c.closing = true
	}
}

// fatal says 421 and ends the dialogue.
func (c *Conn) fatal(status, text string) {
	c.log(slog.LevelInfo, "connection closed", slog.String("reason", text))
	c.hangUp()
	c.write(answer{421, status, c.server.Hostname + " " + text})
}

// hangUp ends the dialogue after the next reply.
func (c *Conn) hangUp() { c.closing, c.lingering = true, true }

// begin and end keep track of the transaction.
func (c *Conn) begin(tx Transaction, utf8 bool) {
	c.tx = &transaction{Transaction: tx, utf8: utf8}
	c.wire.setBusy(true)
}

func (c *Conn) end() {
	c.tx, c.from = nil, nil
	c.wire.setBusy(false)
}

// abort ends the transaction, if there is one, without Data.
func (c *Conn) abort() {
	if tx := c.tx; tx != nil {
		c.end()
		tx.Abort()
	}
}

// recovered ends the connection after a panic in the handler.
func (c *Conn) recovered() {
	v := recover()
	if v == nil {
		return
	}
	c.log(slog.LevelError, "panic", slog.String("command", c.verb),
		slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
	c.hangUp()
	c.write(answer{421, "4.3.0", c.server.Hostname + " Error: internal error"})
}

// close ends the session and the connection.
func (c *Conn) close() {
	c.guard(c.abort)
	if c.session != nil {
		c.guard(c.session.Close)
	}
	if c.lingering {
		c.wire.linger()
	} else {
		c.wire.w.Flush() // the peer may be gone
	}
	c.wire.conn.Close()
}

// guard calls f and lives through its panic.
func (c *Conn) guard(f func()) {
	defer c.recovered()
	f()
}
