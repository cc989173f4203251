package smtpserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"syscall"
	"time"
)

// startTLS serves STARTTLS (RFC 3207). The connection ends if the client has
// sent anything behind the command, which could have been put there by somebody
// else, or if the handshake fails.
func (c *Conn) startTLS(arg string) {
	switch {
	case arg != "":
		c.reply(501, "5.5.4", "Syntax: STARTTLS")
		return
	case c.server.TLS == nil:
		c.reply(502, "5.5.1", "Error: command not implemented")
		return
	case c.tls != nil:
		c.reply(554, "5.5.1", "Error: TLS already active")
		return
	case c.authed:
		c.reply(503, "5.5.1", "Error: already authenticated")
		return
	case c.tx != nil && c.tx.chunks:
		c.reply(503, "5.5.1", "Error: STARTTLS after BDAT")
		return
	}
	if !c.server.allowsN(encrypting, c.ClientIP(), 0) {
		c.reply(454, "4.7.0", tooManyHandshakes+c.ClientIP().String())
		return
	}
	if c.wire.r.Buffered() > 0 {
		c.log(slog.LevelWarn, "connection closed", slog.String("reason", "commands after STARTTLS"))
		c.closing = true
		return
	}
	c.reply(220, "2.0.0", "Ready to start TLS")
	if c.wire.w.Flush() != nil || !c.handshake() {
		c.closing = true
		return
	}
	c.abort()
	c.helo, c.esmtp = "", false
	c.countHandshake()
}

// implicitTLS begins a connection with a handshake. What it says in the clear, if
// anything, nobody would understand.
func (c *Conn) implicitTLS() bool {
	if !c.server.allowsN(encrypting, c.ClientIP(), 0) {
		c.log(slog.LevelInfo, "connection refused", slog.String("reply", tooManyHandshakes+c.ClientIP().String()))
		return false
	}
	return c.handshake() && c.countHandshake()
}

const tooManyHandshakes = "Error: too many new TLS sessions from "

// countHandshake counts the handshake that is over, and ends the connection with
// 421 if that was one too many.
func (c *Conn) countHandshake() bool {
	if c.tls.DidResume || c.server.allows(encrypting, c.ClientIP()) {
		return true
	}
	c.fatal("4.7.0", tooManyHandshakes+c.ClientIP().String())
	return false
}

// handshake puts TLS above the connection.
func (c *Conn) handshake() bool {
	limit := min(cmp.Or(c.server.HandshakeTimeout, time.Minute), c.wire.timeout)
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	below := &hearing{Conn: c.wire.raw}
	conn := tls.Server(below, c.server.TLS)
	err := c.wire.setReadDeadline(time.Now().Add(limit))
	if err == nil {
		err = conn.HandshakeContext(ctx)
	}
	if err != nil {
		if below.heard || !c.server.ImplicitTLS || !gone(err) {
			c.log(slog.LevelInfo, "TLS handshake failed", slog.Any("error", err))
		}
		return false
	}
	state := conn.ConnectionState()
	c.tls = &state
	c.wire.upgrade(conn)
	return true
}

// hearing knows whether anything was ever read. A client that connects for TLS and
// leaves without a word was only looking whether we are there.
type hearing struct {
	net.Conn
	heard bool
}

// Read implements [net.Conn].
func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.heard = h.heard || n > 0
	return n, err
}

// gone reports whether an error of a read is that the client has left.
func gone(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }
