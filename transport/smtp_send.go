package transport

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/panelmail/panelmail/internal/smtpclient"
)

// host offers what is left to one host, in as many transactions as it needs for that. It
// reports whether there was a session. One that failed before a transaction does not
// count: that is final only if all hosts say so.
func (p *pass) host(ctx context.Context, h host) (session bool) {
	p.later, p.left = p.left, nil
	defer func() {
		p.left = append(append(p.left, p.now...), p.later...)
		p.now, p.later = nil, nil
	}()
	need, no := p.demand(ctx, h)
	if no.Reply.Code != 0 {
		p.noteLater(no)
		return false
	}
	for {
		x := p.s.pool.take(p.s.key(&p.d.Plan, h, need.key))
		kept := x != nil
		if !kept {
			if p.d.Plan.Definition.limit() > 0 {
				p.s.pool.leave(h) // what others keep open there counts for the host
			}
			o := opening{s: p.s, d: p.d, h: h, need: need}
			var out Outcome
			if x, out = p.open(ctx, &o); x == nil {
				if !errors.Is(ctx.Err(), context.Canceled) {
					p.noteLater(out)
				}
				if o.adrift {
					p.left, p.later = nil, nil // nor from the source's address of the other family
				}
				return session || o.greeted && !out.Failed()
			}
		}
		switch p.send(ctx, x, h, kept) {
		case done:
			return true
		case spent:
			session = true
		}
	}
}

// noteLater notes why those for whom there was no transaction are not settled by a host.
// An empty outcome, of a delivery that was interrupted, says nothing.
func (p *pass) noteLater(o Outcome) {
	if o.NotTried() {
		return
	}
	for _, i := range p.later {
		p.note(i, o)
	}
}

// open opens a session. Where mail may go in clear, what failed to shake hands is talked
// to in clear from the second attempt on, unless we have a password to keep.
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

// A state is what a session has come to.
type state int

const (
	done  state = iota // the host has had its chance
	stale              // a kept session was dead before the peer said anything to this message: nothing has happened
	spent              // the session can take no more, and there are recipients for another
)

// send sends the message over a session to those whom the host has not been offered.
func (p *pass) send(ctx context.Context, x *session, h host, kept bool) (end state) {
	defer func() {
		if end == stale {
			x.client.Close()
			return
		}
		p.s.pool.put(x)
	}()
	for len(p.now)+len(p.later) > 0 {
		if len(p.now) == 0 {
			if p.now, p.later = x.fit(p.d, p.later); len(p.now) == 0 {
				x.once = true
				return spent
			}
		}
		content, err := p.d.Open(ctx)
		if err != nil {
			p.unreadable(ctx, err)
			return done
		}
		res, err := x.client.Send(ctx, p.envelope(h), content)
		content.Close()
		if kept && ctx.Err() == nil && dead(&res, err) {
			p.later, p.now = append(p.now, p.later...), nil
			return stale
		}
		if malformed, ok := errors.AsType[*smtpclient.AddressError](err); ok {
			p.unaddressed(malformed)
			continue
		}
		x.uses++
		if more := p.take(ctx, x, h, &res, err); !more {
			return done
		}
		if len(p.later) > 0 && x.spent() {
			return spent
		}
		kept = true
	}
	return done
}

// dead reports whether the peer had closed the connection before this message: the
// most it said is 421, for having waited too long.
func dead(res *smtpclient.Result, err error) bool {
	switch res.MailReply.Code {
	case 421:
		return true
	case 0:
		_, broke := errors.AsType[*smtpclient.Error](err)
		return broke && !errors.Is(err, smtpclient.ErrProtocol)
	}
	return false
}

// envelope is the delivery's, for those of the present transaction.
func (p *pass) envelope(h host) smtpclient.Envelope {
	from := &p.d.Envelope
	e := smtpclient.Envelope{
		From: p.d.ReversePath(), To: make([]smtpclient.Recipient, len(p.now)),
		Size: p.d.Size, EightBit: from.Body == Body8BitMIME, SMTPUTF8: from.SMTPUTF8,
		Ret: string(from.Ret), EnvID: from.EnvID, RequireTLS: from.RequireTLS && h.socket == "",
	}
	for n, i := range p.now {
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

// take notes what a host said to each recipient of a transaction, and keeps those it
// refused for now. It reports whether there may be another transaction with this host.
func (p *pass) take(ctx context.Context, x *session, h host, res *smtpclient.Result, err error) (more bool) {
	transcript := x.client.Transcript()
	if p.ours(ctx, err, transcript) {
		return false
	}
	_, dsn := x.client.Ext("DSN")
	taken := p.taken(res)
	said := Outcome{Host: h.name, Addr: h.where(), TLS: x.tls, Transcript: transcript}
	for n, i := range p.now {
		o := said
		o.Reply = remote(res.Reply(n))
		switch {
		case o.NotTried():
			o = missing(ctx, h, res, err)
			o.Transcript = transcript
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
		if taken > 0 && another(res.RcptReplies[n]) {
			x.most = taken
			p.later = append(p.later, i)
			continue
		}
		p.left = append(p.left, i)
	}
	p.now = nil
	switch {
	case len(p.later) == 0:
		return false
	case err == nil && res.MailReply.Code/100 != 4 && (taken > 0 || x.client.Reusable()):
		return true
	}
	p.noteLater(p.parting(ctx, said, h, res, err))
	return false
}

// parting is the outcome of those for whom there will be no transaction with a host, in
// view of the one before.
func (p *pass) parting(ctx context.Context, said Outcome, h host, res *smtpclient.Result, err error) Outcome {
	for _, r := range []smtpclient.Reply{res.MailReply, res.DataReply} {
		if r.Code/100 == 4 {
			said.Reply = remote(r)
			return said
		}
	}
	o := missing(ctx, h, res, err)
	o.Transcript, o.Uncertain = said.Transcript, false
	return o
}

// taken is how many recipients of a transaction the host has taken.
func (p *pass) taken(res *smtpclient.Result) (n int) {
	for i := range p.now {
		if res.Reply(i).OK() {
			n++
		}
	}
	return n
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

// ours settles all that the host was to be offered if the trouble is on our side of the
// connection, or the message is not for this kind of peer.
func (p *pass) ours(ctx context.Context, err error, transcript string) bool {
	if unsendable, ok := errors.AsType[*smtpclient.Unsendable](err); ok {
		p.settleAll(Outcome{Reply: remote(unsendable.Reply), Transcript: transcript})
		return true
	}
	if content, ok := errors.AsType[*smtpclient.ContentError](err); ok {
		p.unreadable(ctx, content.Err)
		return true
	}
	return false
}

// unreadable settles all: no host can help.
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
	i := p.now[e.Index]
	o := Outcome{Reply: Replyf(553, "5.1.3", "malformed recipient address: %v", e.Err)}
	if unsendable, ok := errors.AsType[*smtpclient.Unsendable](e); ok {
		o.Reply = remote(unsendable.Reply)
	}
	p.report[i] = o
	p.now = append(p.now[:e.Index:e.Index], p.now[e.Index+1:]...)
}
