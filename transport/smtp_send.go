package transport

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/panelmail/panelmail/internal/smtpclient"
)

// host offers what is left to one host. It reports whether there was a session.
func (p *pass) host(ctx context.Context, h host) bool {
	for {
		x := p.s.pool.take(p.s.key(&p.d.Plan, h))
		kept := x != nil
		if !kept {
			o := opening{s: p.s, d: p.d, h: h}
			var out Outcome
			if x, out = p.open(ctx, &o); x == nil {
				if !errors.Is(ctx.Err(), context.Canceled) {
					p.noteAll(out)
				}
				if o.adrift {
					p.left = nil // nor from the source's address of the other family
				}
				return o.greeted
			}
		}
		if stale := p.send(ctx, x, h, kept); !stale {
			return true
		}
	}
}

// open opens a session. At the level may, what failed to shake hands is talked to in
// clear from the second attempt on, unless we have a password to keep.
func (p *pass) open(ctx context.Context, o *opening) (*session, Outcome) {
	x, out := o.open(ctx)
	again := x == nil && o.noTLS && p.d.Attempt > 1 && o.mayClear()
	if !again || ctx.Err() != nil {
		return x, out
	}
	p.s.log().LogAttrs(ctx, slog.LevelWarn, "TLS handshake failed before and now: delivering in clear",
		slog.String("id", p.d.ID), slog.String("host", o.h.String()))
	o.clear = true
	return o.open(ctx)
}

// send sends the message over a session to those who are left. It reports true if a
// kept session turned out to be dead before the peer said anything to this message:
// then nothing has happened.
func (p *pass) send(ctx context.Context, x *session, h host, kept bool) (stale bool) {
	defer func() {
		if stale {
			x.client.Close()
			return
		}
		p.s.pool.put(x)
	}()
	for len(p.left) > 0 {
		content, err := p.d.Open(ctx)
		if err != nil {
			p.unreadable(ctx, err)
			return false
		}
		res, err := x.client.Send(ctx, p.envelope(), content)
		content.Close()
		if kept && ctx.Err() == nil && dead(&res, err) {
			return true
		}
		var malformed *smtpclient.AddressError
		if !errors.As(err, &malformed) {
			p.take(ctx, x, h, &res, err)
			return false
		}
		p.unaddressed(malformed)
	}
	return false
}

// dead reports whether the peer had closed the connection before this message: the
// most it said is 421, for having waited too long.
func dead(res *smtpclient.Result, err error) bool {
	var broke *smtpclient.Error
	switch res.MailReply.Code {
	case 421:
		return true
	case 0:
		return errors.As(err, &broke) && !errors.Is(err, smtpclient.ErrProtocol)
	}
	return false
}

// envelope is the delivery's, for those who are left.
func (p *pass) envelope() smtpclient.Envelope {
	from := &p.d.Envelope
	e := smtpclient.Envelope{
		From: p.d.ReversePath(), To: make([]smtpclient.Recipient, len(p.left)),
		Size: p.d.Size, EightBit: from.Body == Body8BitMIME, SMTPUTF8: from.SMTPUTF8,
		Ret: string(from.Ret), EnvID: from.EnvID,
	}
	for n, i := range p.left {
		r := &from.Recipients[i]
		e.To[n] = smtpclient.Recipient{Address: r.Address, Notify: r.Notify.parameter(), ORcpt: r.ORcpt}
	}
	return e
}

// parameter is the set as in the NOTIFY parameter.
func (n Notify) parameter() string {
	if n&NotifyNever != 0 {
		return "NEVER"
	}
	var names []string
	for _, m := range []struct {
		member Notify
		name   string
	}{{NotifySuccess, "SUCCESS"}, {NotifyFailure, "FAILURE"}, {NotifyDelay, "DELAY"}} {
		if n&m.member != 0 {
			names = append(names, m.name)
		}
	}
	return strings.Join(names, ",")
}

// take notes what a host said to each recipient that is left, and keeps those it
// refused for now.
func (p *pass) take(ctx context.Context, x *session, h host, res *smtpclient.Result, err error) {
	if p.ours(ctx, err, x.client.Transcript()) {
		return
	}
	_, dsn := x.client.Ext("DSN")
	said := Outcome{Host: h.name, Addr: h.where(), Transcript: x.client.Transcript()}
	var left []int
	for n, i := range p.left {
		o := said
		o.Reply = remote(res.Reply(n))
		switch {
		case o.NotTried():
			o = missing(ctx, h, res, err)
			o.Transcript = said.Transcript
		case o.Delivered(), o.Failed():
			o.PassedOn = dsn && o.Delivered()
			o.Mailbox = p.s.store != nil && o.Delivered()
			p.report[i] = o
			continue
		}
		if o.Uncertain {
			p.report[i] = o // another host would make it twice for sure
			continue
		}
		if !o.NotTried() {
			p.note(i, o)
		}
		left = append(left, i)
	}
	p.left = left
}

// missing is the outcome of a recipient to whom the host gave no answer. There is no
// reply in it if that was because we were told to stop.
func missing(ctx context.Context, h host, res *smtpclient.Result, err error) Outcome {
	if err == nil {
		return lost(h, errNoReply)
	}
	if errors.Is(ctx.Err(), context.Canceled) && !res.Uncertain {
		return Outcome{}
	}
	o := lost(h, err)
	o.Destination = res.MailReply.Code == 0
	o.Uncertain = res.Uncertain
	return o
}

var errNoReply = errors.New("no reply for the recipient")

// ours settles all that are left if the trouble is on our side of the connection, or
// the message is not for this kind of peer.
func (p *pass) ours(ctx context.Context, err error, transcript string) bool {
	var (
		unsendable *smtpclient.Unsendable
		content    *smtpclient.ContentError
	)
	switch {
	case err == nil:
		return false
	case errors.As(err, &unsendable):
		p.settleAll(Outcome{Reply: remote(unsendable.Reply), Transcript: transcript})
	case errors.As(err, &content):
		p.unreadable(ctx, content.Err)
	default:
		return false
	}
	return true
}

// unreadable settles all that are left: no host can help.
func (p *pass) unreadable(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	p.s.log().LogAttrs(ctx, slog.LevelError, "content cannot be sent", slog.String("id", p.d.ID), slog.Any("error", err))
	o := deferral("4.3.0", "the stored message cannot be read")
	for _, unclean := range []error{smtpclient.ErrBareCR, smtpclient.ErrBareLF, smtpclient.ErrNUL} {
		if errors.Is(err, unclean) {
			o = deferral("4.3.0", "the stored message is not fit for SMTP: %v", unclean)
		}
	}
	o.Local = true
	p.settleAll(o)
}

// unaddressed settles a recipient whose address cannot be one, or all if the
// reverse-path cannot, which is no fault of the recipients.
func (p *pass) unaddressed(e *smtpclient.AddressError) {
	if e.Index < 0 {
		o := deferral("4.1.7", "malformed reverse-path: %v", e.Err)
		o.Local = true
		p.settleAll(o)
		return
	}
	i := p.left[e.Index]
	p.report[i] = Outcome{Reply: Replyf(553, "5.1.3", "malformed recipient address: %v", e.Err)}
	p.left = append(p.left[:e.Index:e.Index], p.left[e.Index+1:]...)
}
