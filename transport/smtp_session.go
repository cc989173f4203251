package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/panelmail/panelmail/internal/smtpclient"
)

// Timeouts bound the steps of a delivery (RFC 5321 section 4.5.3.2).
type Timeouts struct {
	Connect  time.Duration // opening a connection; if zero, 30 seconds
	HELO     time.Duration // the greeting, and the reply to EHLO; if zero, 5 minutes each
	StartTLS time.Duration // STARTTLS, and the handshake; if zero, 5 minutes
	Auth     time.Duration // each exchange of AUTH; if zero, 5 minutes
	Mail     time.Duration // MAIL; if zero, 5 minutes
	Rcpt     time.Duration // RCPT; if zero, 5 minutes
	Data     time.Duration // DATA; if zero, 2 minutes
	Block    time.Duration // each write of 16 KiB of content; if zero, 3 minutes
	Dot      time.Duration // the reply to the content; if zero, 10 minutes

	// MinRate is the least rate in octets a second at which a host must take
	// content, averaged over Block; what falls behind is given up. If zero,
	// 1000; if negative, none.
	MinRate int
}

const (
	connectTimeout = 30 * time.Second
	smtpsPort      = 465 // TLS comes first (RFC 8314 section 3.3)
)

// An opening is the attempt to get a session with one host.
type opening struct {
	s       *SMTP
	d       *Delivery
	h       host
	need    demand
	clear   bool // do not ask for TLS: it failed before, and the level lets go of it
	greeted bool // the host has sent a greeting we could go on from
	noTLS   bool // a TLS handshake failed
	adrift  bool // the source's address is not on this machine

	tls   TLSSession
	fault error // what a policy for tests would have failed of
}

// open connects to a host and makes the session fit for the plan. If the session is
// nil, the outcome says why.
func (o *opening) open(ctx context.Context) (*session, Outcome) {
	if out := o.barred(); out.Reply.Code != 0 {
		return nil, out
	}
	conn, err := o.dial(ctx)
	if err != nil {
		return nil, o.unreached(err)
	}
	client, err := smtpclient.Greet(ctx, conn, o.options())
	if err != nil {
		return nil, o.broken(err, "")
	}
	o.greeted = true
	if out := o.secure(ctx, client); out.Reply.Code != 0 {
		out.Transcript = client.Transcript()
		client.Quit()
		return nil, out
	}
	return &session{
		key: o.s.key(&o.d.Plan, o.h, o.need.key), client: client, tls: o.tls,
		limits: client.Limits(), opened: time.Now(), once: o.clear,
	}, Outcome{}
}

func (o *opening) dial(ctx context.Context) (net.Conn, error) {
	local, ok := o.d.Plan.Source.Local(o.h.addr.Addr())
	if !ok && o.h.socket == "" {
		return nil, syscall.EAFNOSUPPORT // hosts left only those that are
	}
	limit := firstOf(o.d.Plan.Definition.ConnectTimeout, o.s.Timeouts.Connect, connectTimeout)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if o.h.socket != "" {
		return dialSocket(ctx, o.h.socket)
	}
	return o.s.network().Dial(ctx, local, o.h.addr)
}

func (o *opening) options() smtpclient.Options {
	t := o.s.Timeouts
	helo := firstOf(o.d.Plan.Definition.HELOTimeout, t.HELO)
	options := smtpclient.Options{
		HELO:     o.s.helo(&o.d.Plan),
		LMTP:     o.s.store != nil,
		Extended: o.extended(),
		Timeouts: smtpclient.Timeouts{
			Greeting: helo, Hello: helo, StartTLS: t.StartTLS, Auth: t.Auth,
			Mail: t.Mail, Rcpt: t.Rcpt, Data: t.Data, Block: t.Block, Dot: t.Dot, MinRate: t.MinRate,
		},
	}
	if o.h.addr.Port() == smtpsPort {
		options.TLS = o.tlsConfig()
	}
	return options
}

// extended reports whether the session cannot do without extensions.
func (o *opening) extended() bool {
	return o.need.use == tlsRequired || o.d.Plan.Credential != (Credential{})
}

// secure brings a session to the TLS level of the plan and authenticates us. An
// outcome with a reply says why that cannot be.
func (o *opening) secure(ctx context.Context, c *smtpclient.Client) Outcome {
	if o.h.socket != "" {
		return Outcome{} // nobody else is on the way
	}
	if out := o.startTLS(ctx, c); out.Reply.Code != 0 {
		return out
	}
	if o.d.Plan.Credential == (Credential{}) {
		return Outcome{}
	}
	return o.authenticate(ctx, c)
}

// mayClear reports whether the host may be talked to in clear after a failed
// handshake: TLS is not required, and there is no password to keep.
func (o *opening) mayClear() bool {
	return o.need.use == tlsOffered && o.d.Plan.Credential == (Credential{}) && o.h.addr.Port() != smtpsPort
}

// said marks an outcome as this host's answer to the session.
func (o *opening) said(out Outcome) Outcome {
	out.Host, out.Addr, out.TLS = o.h.name, o.h.where(), o.tls
	out.Destination = true
	return out
}

// unreached is the outcome of a connection that could not be opened.
func (o *opening) unreached(err error) Outcome {
	local := o.d.Plan.Source
	if errors.Is(err, syscall.EADDRNOTAVAIL) && local.Bound() {
		ip, _ := local.Local(o.h.addr.Addr())
		out := deferral("4.4.0", "source address %s is not on this machine", ip)
		out.Local, o.adrift = true, true
		return out
	}
	if o.h.socket != "" {
		out := deferral("4.4.1", "connect to %s: %s", o.h, reason(err))
		out.Local, out.Destination = true, true // what listens there is of this machine
		return out
	}
	out := deferral("4.4.1", "connect to %s:%d: %s", o.h, o.h.addr.Port(), reason(err))
	for _, ours := range []error{
		syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.EACCES, syscall.EPERM,
	} {
		out.Local = out.Local || errors.Is(err, ours)
	}
	out.Destination = !out.Local
	return out
}

// broken is the outcome of an error before the session was ready.
func (o *opening) broken(err error, transcript string) Outcome {
	var refused *smtpclient.Refusal
	if errors.As(err, &refused) {
		return o.refused(refused)
	}
	out := lost(o.h, err)
	out.Destination = true
	var (
		broke *smtpclient.Error
		why   *distrust
	)
	switch {
	case errors.As(err, &why):
		out = o.unverified(why)
	case errors.As(err, &broke) && broke.Step == smtpclient.StepHandshake:
		o.noTLS = true
		o.count(ValidationFailure, reason(broke.Err))
		out = deferral("4.7.5", "Cannot start TLS: handshake failure with host %s: %s", o.h, reason(broke.Err))
		out.Destination = !o.mayClear() // else the next attempt gets along without
	}
	out.Transcript = transcript
	return out
}

// refused is the outcome of a host that does not want the session. That is never
// final, whatever the code: another host, or another hour, may be better.
func (o *opening) refused(r *smtpclient.Refusal) Outcome {
	out := o.said(deferral("", "host %s refused to talk to me: %s", o.h, r.Reply))
	out.Reply.Enhanced = r.Reply.Enhanced
	if out.Reply.Enhanced[0] != 0 {
		out.Reply.Enhanced[0] = 4
	}
	return out
}

// lost is the outcome of a dialogue that broke.
func lost(h host, err error) Outcome {
	step := ""
	if e := new(smtpclient.Error); errors.As(err, &e) {
		step, err = " at "+string(e.Step), e.Err
	}
	if errors.Is(err, smtpclient.ErrProtocol) {
		return deferral("4.5.0", "host %s%s: %s", h, step, reason(err))
	}
	return deferral("4.4.2", "lost connection with %s%s: %s", h, step, reason(err))
}

// reason is what an error of a connection comes to, without the addresses that the
// text around it has.
func reason(err error) string {
	var (
		errno   syscall.Errno
		network *net.OpError
		timeout interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed by the other side"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &network):
		return network.Err.Error()
	}
	return err.Error()
}

// remote is a reply of a peer in our vocabulary.
func remote(r smtpclient.Reply) Reply {
	return Reply{Code: r.Code, Enhanced: r.Enhanced, Text: r.Text}
}

func firstOf(limits ...time.Duration) time.Duration {
	for _, d := range limits {
		if d > 0 {
			return d
		}
	}
	return 0
}
