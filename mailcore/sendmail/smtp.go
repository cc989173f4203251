package sendmail

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/panelmail/panelmail/internal/maildrop"
	"github.com/panelmail/panelmail/internal/smtpserver"
	"github.com/panelmail/panelmail/transport"
)

// smtp speaks SMTP on standard input and output: as a mere pipe to the server's
// socket, so that all rules are the server's; or if it is not there, by itself
// into the maildrop.
func (r *run) smtp(ctx context.Context) error {
	if err := r.locate(); err != nil {
		return err
	}
	if conn, greeting, ok := r.greeted(ctx); ok {
		defer conn.Close()
		return r.pipe(ctx, conn, greeting)
	}
	server := smtpserver.Server{
		Hostname:   r.helo(),
		Handler:    smtpserver.HandlerFunc(r.newSession),
		ErrorSleep: -1,
		MaxSize:    maxOffline,
		Log:        slog.New(slog.DiscardHandler),
	}
	server.ServeConn(ctx, stdio{r.stdin, r.stdout})
	return nil
}

// maxOffline is the largest message taken in octets while no server says what its
// limit is.
const maxOffline = 50 << 20

// greeted connects to the server. ok is false if it is not there or says "later".
func (r *run) greeted(ctx context.Context) (net.Conn, *bufio.Reader, bool) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "unix", r.place.socket)
	if err != nil {
		return nil, nil, false
	}
	reader := bufio.NewReader(conn)
	conn.SetReadDeadline(time.Now().Add(greetTimeout))
	first, err := reader.Peek(1)
	if err != nil || first[0] == '4' {
		conn.Close()
		return nil, nil, false
	}
	conn.SetReadDeadline(time.Time{})
	return conn, reader, true
}

// pipe carries octets both ways until the server closes.
func (r *run) pipe(ctx context.Context, conn net.Conn, replies *bufio.Reader) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	go func() { // ends with standard input, or at the latest with the process
		io.Copy(conn, r.stdin)
		if half, ok := conn.(*net.UnixConn); ok {
			half.CloseWrite()
		}
	}()
	if _, err := io.Copy(r.stdout, replies); err != nil {
		return failf(ExitIO, "the connection to the server broke: %v", err)
	}
	return nil
}

// newSession answers while no server does.
func (r *run) newSession(context.Context, *smtpserver.Conn) (smtpserver.Session, error) {
	return session{r}, nil
}

type session struct{ run *run }

// Mail implements smtpserver.Session.
func (s session) Mail(_ context.Context, from string, p smtpserver.MailParams) (smtpserver.Transaction, error) {
	return &transaction{run: s.run, m: message{from: from, ret: p.Ret, envID: p.EnvID}}, nil
}

// Close implements smtpserver.Session.
func (session) Close() {}

// A transaction is a message on its way into the maildrop.
type transaction struct {
	run *run
	m   message
}

// Lenient implements smtpserver.LenientTransaction: programs write any line end.
func (*transaction) Lenient() bool { return true }

// Rcpt implements smtpserver.Transaction. A file has one NOTIFY for all of its
// recipients: one that differs is refused for now, not changed.
func (t *transaction) Rcpt(_ context.Context, to string, p smtpserver.RcptParams) error {
	to, err := complete(to, t.run.origin)
	if err != nil {
		return transport.Replyf(501, "5.1.3", "Bad recipient address syntax")
	}
	notify := notifyText(p.Notify)
	if len(t.m.to) > 0 && notify != t.m.notify {
		return transport.Replyf(452, "4.5.3", "One NOTIFY at a time, please: send another message")
	}
	t.m.notify = notify
	t.m.to = append(t.m.to, to)
	return nil
}

// Data implements smtpserver.Transaction.
func (t *transaction) Data(_ context.Context, content io.Reader) (queuedAs string, err error) {
	defer t.m.spool.close()
	if err := t.m.read(command{dots: true}, t.run.origin, content); err != nil {
		var f *failure
		if errors.As(err, &f) && f.status == ExitData {
			return "", transport.Replyf(554, "5.6.0", "%s", f.text)
		}
		return "", err
	}
	e := maildrop.Envelope{
		Submission: t.m.submission, From: t.m.from, To: t.m.to,
		Notify: t.m.notify, Ret: t.m.ret, EnvID: t.m.envID, Size: t.m.spool.size,
	}
	box := maildrop.Box{Dir: t.run.place.maildrop}
	if err := box.Write(t.run.env.Getuid(), e, t.m.spool.content()); err != nil {
		return "", transport.Replyf(451, "4.3.0", "No server, and the message cannot be kept here")
	}
	return t.m.submission, nil
}

// Abort implements smtpserver.Transaction.
func (t *transaction) Abort() {}

func notifyText(n smtpserver.Notify) string {
	text := ""
	for _, word := range []struct {
		bit  smtpserver.Notify
		name string
	}{
		{smtpserver.NotifyNever, "NEVER"}, {smtpserver.NotifySuccess, "SUCCESS"},
		{smtpserver.NotifyFailure, "FAILURE"}, {smtpserver.NotifyDelay, "DELAY"},
	} {
		if n&word.bit != 0 {
			text += "," + word.name
		}
	}
	if text == "" {
		return ""
	}
	return text[1:]
}

// stdio is standard input and output as a connection. Deadlines have no effect:
// whoever started us waits as long as it likes.
type stdio struct {
	io.Reader
	io.Writer
}

func (stdio) Close() error                     { return nil }
func (stdio) LocalAddr() net.Addr              { return &net.UnixAddr{Net: "unix", Name: "stdout"} }
func (stdio) RemoteAddr() net.Addr             { return &net.UnixAddr{Net: "unix", Name: "stdin"} }
func (stdio) SetDeadline(time.Time) error      { return nil }
func (stdio) SetReadDeadline(time.Time) error  { return nil }
func (stdio) SetWriteDeadline(time.Time) error { return nil }
