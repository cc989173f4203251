package smtpserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// A Server holds the settings of connections. Hostname and Handler are required.
// Nothing may be changed after the first call of Serve or ServeConn. One Server
// can serve several listeners at once; the limits then count over all of them.
//
// To change settings while connections are served, let the function given to
// [Serve] return another Server with the same Clients: every connection keeps the
// Server it began with.
type Server struct {
	// Hostname is the name in the greeting, in the reply to EHLO and in replies
	// that close the connection. Required.
	Hostname string

	// Handler decides. Required.
	Handler Handler

	// Greeting is the text of the greeting after the host name. If empty,
	// "ESMTP".
	Greeting string

	// TLS is the configuration of STARTTLS and of implicit TLS. If nil,
	// STARTTLS is not offered.
	TLS *tls.Config

	// ImplicitTLS begins every connection with a handshake (RFC 8314, port
	// 465). TLS must be set.
	ImplicitTLS bool

	// RequireTLS refuses with 530 what comes before STARTTLS and is not needed
	// to get there.
	RequireTLS bool

	// RequireAuth refuses MAIL with 530 before the client has logged in.
	RequireAuth bool

	// AuthWithoutTLS offers and accepts AUTH on clear connections.
	AuthWithoutTLS bool

	// OfferRequireTLS offers REQUIRETLS on connections with TLS.
	OfferRequireTLS bool

	// MaxSize is the largest content in octets, as sent but for dot-stuffing.
	// If zero, 10,240,000.
	MaxSize int64

	// MaxRecipients is how many recipients a transaction may have; more are
	// refused with 452. If zero, 1,000.
	MaxRecipients int

	// MaxLine is the longest line of content in octets, its LF not counted. A
	// longer one makes the message refused with 554. If zero, 131,072.
	MaxLine int

	// MaxErrors is how many replies of class 4 or 5 a connection gets before
	// it is closed with 421. The count starts again after a message was
	// accepted. If zero, 20; in a hurry 1: see MaxConns.
	MaxErrors int

	// MaxJunk is how many commands that bring no message forward (NOOP, VRFY,
	// RSET, HELP, HELO, EHLO) are no errors. The count starts again after a
	// message was accepted. If zero, 100; in a hurry 1.
	MaxJunk int

	// SoftErrors is the number of errors from which on every reply is delayed
	// by ErrorSleep. If zero, 10.
	SoftErrors int

	// ErrorSleep is the delay of replies after SoftErrors, and of each failed
	// login. If zero, a second; if negative, none.
	ErrorSleep time.Duration

	// MaxAuthFailures is how many failed logins close the connection. If
	// zero, 5.
	MaxAuthFailures int

	// Timeout is how long a command, a handshake, or a pause in the content may
	// take. If zero, 5 minutes; in a hurry no more than 10 seconds.
	Timeout time.Duration

	// HandshakeTimeout bounds a TLS handshake. If zero, a minute.
	HandshakeTimeout time.Duration

	// MinRate is the least rate of content in octets a second: waiting for
	// content, and for the commands between its chunks, uses up Timeout, and
	// every MinRate octets give a second back. If zero, 500; if negative, none.
	MinRate int

	// MaxConns is how many connections are served at once; more are refused with
	// 421. If zero, 1,000.
	//
	// The last tenth is for clients that have less than a tenth of MaxConnsPerIP,
	// and is served in a hurry, unless the client is exempt: as Postfix does under
	// stress.
	MaxConns int

	// MaxConnsPerIP is how many of them may come from one IPv4 address or one
	// IPv6 /64 network. If zero, 50.
	MaxConnsPerIP int

	// How many connections, MAIL, RCPT and AUTH commands, and TLS handshakes that
	// resume no session, a client may have in RateUnit: see [Clients]. More are
	// refused, and count too. If zero, any number.
	ConnRate, MailRate, RcptRate, AuthRate, TLSRate int

	// RateUnit is the length of the window for the rates. If zero, a minute.
	RateUnit time.Duration

	// ProxyNetworks are peers that pass on the connections of others: from them,
	// and from nobody else, a header of the PROXY protocol is expected, and whom
	// it names is the client for all that follows. A proxy that sends none, or
	// none in 5 seconds, is left.
	ProxyNetworks []netip.Prefix

	// ExemptNetworks are the clients that have none of the limits for one client:
	// MaxConnsPerIP and the rates.
	ExemptNetworks []netip.Prefix

	// Clients has the counts for MaxConns, MaxConnsPerIP and the rates. If nil,
	// the server has its own.
	Clients *Clients

	// Grace is how long transactions may go on when the context of Serve is
	// done. If zero, 10 seconds; if negative, none.
	Grace time.Duration

	// Log gets a line for each refused command and for each connection that
	// ends out of order. If nil, [slog.Default] is used.
	Log *slog.Logger

	own Clients
}

func (s *Server) log() *slog.Logger { return cmp.Or(s.Log, slog.Default()) }

// check tells what is missing, all at once.
func (s *Server) check() error {
	var errs []error
	if s.Hostname == "" {
		errs = append(errs, errors.New("smtpserver: Server.Hostname is empty"))
	}
	if s.Handler == nil {
		errs = append(errs, errors.New("smtpserver: Server.Handler is nil"))
	}
	if s.ImplicitTLS && s.TLS == nil {
		errs = append(errs, errors.New("smtpserver: Server.ImplicitTLS without Server.TLS"))
	}
	return errors.Join(errs...)
}

// Serve accepts connections from l and serves them until ctx is done. Then it
// closes l; connections that are not in a transaction get 421 at once, the
// others when their transaction is over, and after Grace all are closed. Serve
// returns nil when no goroutine of it is left.
//
// Running out of file descriptors and the like is waited out. Any other error of
// l ends the connections as the context does, and is returned.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return Serve(ctx, l, func() *Server { return s })
}

// Serve serves each connection from l with what current returns when it is accepted,
// and otherwise does what [Server.Serve] does.
func Serve(ctx context.Context, l net.Listener, current func() *Server) error {
	if err := current().check(); err != nil {
		l.Close()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(closed)
		l.Close()
	})
	var conns sync.WaitGroup
	defer func() {
		cancel()
		<-closed
		conns.Wait()
	}()
	var wait time.Duration
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			conns.Go(func() { current().ServeConn(ctx, c) })
		case ctx.Err() != nil:
			return nil
		case passes(err):
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			current().log().WarnContext(ctx, "accept failed, trying again", "error", err, "wait", wait)
			pause(ctx, wait)
		default:
			return err
		}
	}
}

// ServeConn serves one connection, as Serve would, and returns when it is over.
// It closes nc.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn) {
	if err := s.check(); err != nil {
		s.log().ErrorContext(ctx, "connection not served", "error", err)
		nc.Close()
		return
	}
	s.serve(ctx, nc)
}

// serve admits a connection, serves it and sees to it that it ends after ctx.
func (s *Server) serve(ctx context.Context, nc net.Conn) {
	defer nc.Close()
	nc, ok := s.unproxied(ctx, nc)
	if !ok {
		return
	}
	client := clientIP(nc)
	hurry, refusal := s.clients().enter(s, client)
	if refusal != "" {
		s.refuse(ctx, nc, "421 4.7.0 "+s.Hostname+" "+refusal)
		return
	}
	defer s.clients().leave(s, client)

	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c := newConn(own, s, nc, hurry)
	finished, drained := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(drained)
		c.wire.drain()
		select {
		case <-finished:
		case <-time.After(max(0, cmp.Or(s.Grace, 10*time.Second))):
			cancel()
			nc.Close()
		}
	})
	c.serve()
	close(finished)
	if !stop() {
		<-drained
	}
}

// refuse answers a connection that is not served.
func (s *Server) refuse(ctx context.Context, nc net.Conn, text string) {
	s.log().InfoContext(ctx, "connection refused", "client", clientName(nc), "reply", text)
	if s.ImplicitTLS {
		return // the client waits for a handshake
	}
	nc.SetWriteDeadline(time.Now().Add(time.Second))
	nc.Write([]byte(text + "\r\n"))
}

// passes reports whether an error of Accept is trouble that may pass.
func passes(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EPROTO, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// pause waits for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
